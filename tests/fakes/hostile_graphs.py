"""Hostile graphs, made from a sound one by changes that no digest tells, each with the reason to be given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

GraphChange = Callable[[onnx.ModelProto], None]


def add(
    model: onnx.ModelProto, operator: str, inputs: list[object], output: str = "stray", **settings: object
) -> str:
    """Add an operator before the last one; arrays among its inputs become constants."""
    names = []
    for place, value in enumerate(inputs):
        if isinstance(value, str):
            names.append(value)
            continue
        names.append(f"{output}_{place}")
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), names[-1]))
    model.graph.node.append(helper.make_node(operator, names, [output], **settings))
    return output


def adding(operator: str, *inputs: object, **settings: object) -> GraphChange:
    return lambda model: add(model, operator, list(inputs), **settings) and None


# Data from elsewhere.


def outside(tensor: onnx.TensorProto, location: str = "../elsewhere") -> onnx.TensorProto:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def _stray_tensor(location: str = "../elsewhere") -> onnx.TensorProto:
    return outside(numpy_helper.from_array(np.zeros(3, np.float32), "stray_tensor"), location)


def _branch(node: onnx.NodeProto) -> onnx.GraphProto:
    output = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, [3])
    return helper.make_graph([node], "branch", [], [output])


def _choice(inner: onnx.GraphProto) -> onnx.NodeProto:
    return helper.make_node("If", ["condition"], ["stray"], then_branch=inner, else_branch=inner)


def _constant(tensor: onnx.TensorProto) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["inner"], value=tensor)


def external_initializer(location: str) -> GraphChange:
    return lambda model: outside(model.graph.initializer[0], location) and None


def external_sparse(model: onnx.ModelProto) -> None:
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "sparse_indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(_stray_tensor(), indices, [3]))


def external_in_function(model: onnx.ModelProto) -> None:
    model.functions.append(helper.make_function("", "Mine", [], ["inner"], [_constant(_stray_tensor())], []))


def external_in_a_functions_subgraph(model: onnx.ModelProto) -> None:
    choice = _choice(_branch(_constant(_stray_tensor())))
    model.functions.append(helper.make_function("", "Mine", ["condition"], ["stray"], [choice], []))


def external_in_training_information(model: onnx.ModelProto) -> None:
    model.training_info.add().algorithm.initializer.append(_stray_tensor())


def external_in_a_list(model: onnx.ModelProto) -> None:
    attribute = onnx.AttributeProto(name="values", type=onnx.AttributeProto.TENSORS)
    attribute.tensors.append(_stray_tensor())
    model.graph.node[0].attribute.append(attribute)


EXTERNAL: dict[str, GraphChange] = {
    "above": external_initializer("../elsewhere"),
    "absolute": external_initializer("/etc/passwd"),
    "beside": external_initializer("manifest.json"),
    "nowhere": external_initializer(""),
    "of an operator": lambda model: model.graph.node.append(_constant(_stray_tensor())),
    "of a list": external_in_a_list,
    "sparse": external_sparse,
    "in a subgraph": lambda model: model.graph.node.append(_choice(_branch(_constant(_stray_tensor())))),
    "in a function": external_in_function,
    "in a function's subgraph": external_in_a_functions_subgraph,
    "in training information": external_in_training_information,
}


# What is no generator.


def sparse(model: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "sparse_values")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "sparse_indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2**40]))


def nested(depth: int) -> bytes:
    """Return bytes that add subgraphs in subgraphs to whatever ONNX file they are appended to."""
    graph = b""
    for _ in range(depth):
        branch = _field(1, b"then_branch") + b"\xa0\x01\x05" + _field(6, graph)  # field 20: of type GRAPH
        graph = _field(1, _field(4, b"If") + _field(5, branch))
    return _field(7, graph)


def _field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field as protobuf writes it."""
    length, size = bytearray(), len(content)
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


def cycle(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Add", ["one", "latent"], ["other"]))
    model.graph.node.append(helper.make_node("Add", ["other", "latent"], ["one"]))


def many_nodes(model: onnx.ModelProto) -> None:
    last = "latent"
    for number in range(50_000):
        model.graph.node.append(helper.make_node("Relu", [last], [f"n{number}"]))
        last = f"n{number}"


def many_parts(model: onnx.ModelProto) -> None:
    model.graph.node[0].ClearField("attribute")
    for _ in range(300_000):
        model.graph.node[0].metadata_props.add()
    for _ in range(300_000):
        model.graph.value_info.add()


def much_structure(model: onnx.ModelProto) -> None:
    """Two bytes each, and fifty times that in memory."""
    model.graph.node[0].metadata_props.extend([onnx.StringStringEntryProto()] * 9_000_000)


def nan_weight(model: onnx.ModelProto) -> None:
    """In a class that no canary shows."""
    table = next(tensor for tensor in model.graph.initializer if tensor.name == "E")
    values = numpy_helper.to_array(table).copy()
    values[9, 3] = np.nan
    table.CopyFrom(numpy_helper.from_array(values, "E"))


def first_tensor(**fields: object) -> GraphChange:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        for name, value in fields.items():
            if name == "dims":
                del tensor.dims[:]
                tensor.dims.extend(value)
            else:
                setattr(tensor, name, value)

    return change


def operator_sets(*versions: int) -> GraphChange:
    def change(model: onnx.ModelProto) -> None:
        del model.opset_import[:]
        model.opset_import.extend(helper.make_opsetid("", version) for version in versions)

    return change


def text(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("words", TensorProto.STRING, [1], [b"x"]))


def quantized(model: onnx.ModelProto) -> None:
    model.graph.quantization_annotation.add().tensor_name = "W"


FORBIDDEN: dict[str, tuple[GraphChange, str]] = {
    "a sparse tensor": (sparse, "a sparse tensor"),
    "a function": (
        lambda model: model.functions.append(helper.make_function("", "Mine", [], [], [], [])), "a function",
    ),
    "training information": (lambda model: model.training_info.add() and None, "training information"),
    "a quantization": (quantized, "a quantization annotation"),
    "a custom operator": (adding("Gelu", "flat", domain="com.microsoft"), "com.microsoft::Gelu"),
    "a custom domain": (
        lambda model: model.opset_import.append(helper.make_opsetid("org.pytorch.aten", 1)), "org.pytorch",
    ),
    "an unknown operator": (adding("Forge", "flat"), "the operator 'Forge'; allowed: Abs Add"),
    "random numbers": (adding("RandomNormalLike", "flat"), "random operator RandomNormalLike"),
    "a loop": (adding("Loop", "", "", "flat"), "the operator 'Loop'; allowed"),
    "words": (adding("StringNormalizer", "flat"), "the operator 'StringNormalizer'; allowed"),
    "a sequence": (adding("SequenceEmpty"), "the operator 'SequenceEmpty'; allowed"),
    "a tensor of text": (text, "'words' is of a type that is not allowed; allowed: bool"),
    "a circle": (cycle, "in a circle"),
    "a name twice": (adding("Relu", "latent", output="flat"), "makes 'flat' twice"),
    "a name from nowhere": (adding("Relu", "no_such"), "uses 'no_such' and does not make it"),
    "too many nodes": (many_nodes, "more than 20000 nodes"),
    "too many parts": (many_parts, "more than 500000 parts|fields"),
    "too much structure": (much_structure, "bytes beside its weights|fields"),
    "NaN in a weight": (nan_weight, "'E' holds NaN"),
    "too few values": (first_tensor(dims=[4, 31]), "does not hold the"),
    "values beyond counting": (first_tensor(dims=[2**62, 4]), "does not hold the"),
    "fewer than no values": (first_tensor(dims=[-4, 30]), "no sound shape"),
    "many dimensions": (first_tensor(dims=[1] * 5_000), "no sound shape"),
    "a type that is none": (first_tensor(data_type=99), "of a type that is not allowed"),
    "no operator set": (operator_sets(), "operator sets"),
    "two operator sets": (operator_sets(18, 17), "operator sets"),
    "a future operator set": (operator_sets(99), "operator sets"),
    "fewer outputs than stated": (adding("Split", "flat", axis=1, num_outputs=3), "of 1 outputs states 3"),
    "too many inputs": (adding("Relu", "flat", "flat"), "has 2 inputs"),
    "an unknown setting": (adding("Relu", "flat", alpha=1.0), "a setting 'alpha'"),
    "groups of nothing": (
        adding("Conv", np.zeros((1, 1, 3, 3), np.float32), np.zeros((1, 1, 3, 3), np.float32), group=0),
        "group of an operator Conv must be from 1",
    ),
    "blocks of nothing": (
        adding("DepthToSpace", np.zeros((1, 4, 2, 2), np.float32), blocksize=0), "blocksize of an operator",
    ),
}  # fmt: skip
