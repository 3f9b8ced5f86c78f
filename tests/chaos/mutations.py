"""A model directory changed at random: its bytes, its graph, its manifest; some with digests made right."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from typing import Any

import onnx
from google.protobuf.message import Message

from contract.digests import sha256_digest
from contract.layout import GENERATOR_FILE, MANIFEST_FILE
from service.models.operators import OPERATORS

Files = dict[str, bytes]

_NUMBERS = (0, 1, -1, 2, 3, 7, 8, 16, 127, 255, 1024, 65_536, 2**24, 2**31 - 1, 2**31, 2**40, 2**62,
            2**63 - 1, -(2**31), -(2**63))  # fmt: skip
_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e30, -1e30, math.inf, -math.inf, math.nan)
_WORDS = ("", "image", "latent", "linear", "cubic", "nearest", "reflect", "edge", "wrap", "DCR", "SAME_UPPER",
          "VALID", "floor", "asymmetric", "tf_crop_and_resize", "\x00", "../x")  # fmt: skip
_OPERATORS = sorted(OPERATORS)
_STRANGE = ("If", "Loop", "Scan", "NonZero", "StringNormalizer", "SequenceAt", "Einsum", "Mod", "TopK")
_MOST_EDITS = 3


def mutate(files: Files, chance: random.Random) -> tuple[Files, str]:
    """Return the files of a directory after one to three changes, and how they were changed."""
    kind = chance.choices(("bytes", "bytes restated", "graph", "manifest"), (10, 20, 60, 10))[0]
    changed = dict(files)
    if kind == "manifest":
        changed[MANIFEST_FILE] = _manifest(files[MANIFEST_FILE], chance)
        return changed, kind
    if kind == "graph":
        changed[GENERATOR_FILE] = _graph(files[GENERATOR_FILE], chance)
    else:
        name = GENERATOR_FILE if kind == "bytes restated" else chance.choice(sorted(files))
        for _ in range(chance.randint(1, _MOST_EDITS)):
            changed[name] = chance.choice(_BYTE_EDITS)(changed[name], chance)
    if kind != "bytes":
        _restate(changed)
    return changed, kind


def _restate(files: Files) -> None:
    """Make the manifest's digest of the graph right again."""
    document = json.loads(files[MANIFEST_FILE])
    data = files[GENERATOR_FILE]
    document["files"][GENERATOR_FILE] = {"sha256": sha256_digest(data), "bytes": len(data)}
    files[MANIFEST_FILE] = json.dumps(document).encode()


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _swap(data: bytes, chance: random.Random) -> bytes:
    length = min(len(data) // 2, chance.choice((1, 4, 32, 512)))
    first, second = (chance.randrange(len(data) - length + 1) for _ in range(2))
    changed = bytearray(data)
    changed[first : first + length], changed[second : second + length] = (
        data[second : second + length],
        data[first : first + length],
    )
    return bytes(changed[: len(data)])


def _repeat(data: bytes, chance: random.Random) -> bytes:
    begin = chance.randrange(len(data) + 1)
    block = data[begin : begin + chance.choice((1, 16, 256, 4096))]
    return data[:begin] + block * chance.choice((2, 16, 256)) + data[begin:]


def _overwrite(data: bytes, chance: random.Random) -> bytes:
    begin = chance.randrange(len(data) + 1)
    return data[:begin] + chance.randbytes(chance.choice((1, 8, 64))) + data[begin + 1 :]


_BYTE_EDITS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _flip,
    _cut,
    _swap,
    _repeat,
    _overwrite,
)


def _graph(data: bytes, chance: random.Random) -> bytes:
    model = onnx.load_model_from_string(data)
    for _ in range(chance.randint(1, _MOST_EDITS)):
        if model.graph.node:
            chance.choice(_GRAPH_EDITS)(model, chance)
    return model.SerializeToString()


def _messages(model: onnx.ModelProto) -> list[Message]:
    found, pending = [], [model.graph]
    while pending:
        message = pending.pop()
        found.append(message)
        for field, value in message.ListFields():
            if field.message_type is not None:
                pending.extend(value if field.is_repeated else [value])
    return found


def _any_field(model: onnx.ModelProto, chance: random.Random) -> None:
    """Give any field anywhere another value of its type."""
    message = chance.choice(_messages(model))
    fields = [field for field in message.DESCRIPTOR.fields if field.message_type is None]
    if not fields:
        return
    field = chance.choice(fields)
    value = _value_of(field, chance)
    if not field.is_repeated:
        setattr(message, field.name, value)
        return
    values = getattr(message, field.name)
    if values and chance.random() < 0.7:
        values[chance.randrange(len(values))] = value
    else:
        values.append(value)


def _value_of(field: Any, chance: random.Random) -> Any:
    if field.enum_type is not None:
        return chance.choice(field.enum_type.values).number
    kinds = {
        field.CPPTYPE_INT64: lambda: chance.choice(_NUMBERS),
        field.CPPTYPE_INT32: lambda: chance.choice([one for one in _NUMBERS if abs(one) < 2**31]),
        field.CPPTYPE_UINT64: lambda: abs(chance.choice(_NUMBERS)),
        field.CPPTYPE_FLOAT: lambda: chance.choice(_FLOATS),
        field.CPPTYPE_DOUBLE: lambda: chance.choice(_FLOATS),
    }
    if field.cpp_type in kinds:
        return kinds[field.cpp_type]()
    word = chance.choice(_WORDS)
    return word.encode() if field.type == field.TYPE_BYTES else word


def _setting(model: onnx.ModelProto, chance: random.Random) -> None:
    """Give a setting of an operator another value, or an operator a setting more."""
    settings = [one for node in model.graph.node for one in node.attribute]
    if not settings:
        return
    one = chance.choice(settings)
    if one.ints:
        one.ints[chance.randrange(len(one.ints))] = chance.choice(_NUMBERS)
    elif one.type == onnx.AttributeProto.INT:
        one.i = chance.choice(_NUMBERS)
    elif one.type == onnx.AttributeProto.FLOAT:
        one.f = chance.choice(_FLOATS)
    elif one.type == onnx.AttributeProto.STRING:
        one.s = chance.choice(_WORDS).encode()
    if chance.random() < 0.2:
        chance.choice(model.graph.node).attribute.append(one)


def _numbers_of_a_shape(model: onnx.ModelProto, chance: random.Random) -> None:
    """Change what a small tensor of whole numbers holds: shapes, pads, places."""
    tensors = [
        one for one in model.graph.initializer
        if one.data_type == onnx.TensorProto.INT64 and len(one.raw_data) == 8 * math.prod(one.dims)
        and not one.data_location
    ]  # fmt: skip
    if not tensors:
        return
    tensor = chance.choice(tensors)
    values = onnx.numpy_helper.to_array(tensor).copy()
    if values.size:
        values.flat[chance.randrange(values.size)] = chance.choice(_NUMBERS)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def _operator(model: onnx.ModelProto, chance: random.Random) -> None:
    node = chance.choice(model.graph.node)
    node.op_type = chance.choice(_STRANGE if chance.random() < 0.1 else _OPERATORS)
    if chance.random() < 0.5:
        del node.attribute[:]


def _wiring(model: onnx.ModelProto, chance: random.Random) -> None:
    """Let an operator take something else, more, or less."""
    node = chance.choice(model.graph.node)
    names = [name for one in model.graph.node for name in (*one.input, *one.output)] or ["latent"]
    if node.input and chance.random() < 0.6:
        node.input[chance.randrange(len(node.input))] = chance.choice(names)
    elif node.input and chance.random() < 0.5:
        del node.input[chance.randrange(len(node.input))]
    else:
        node.input.append(chance.choice(names))


def _insertion(model: onnx.ModelProto, chance: random.Random) -> None:
    """Put one more operator between two."""
    node = chance.choice(model.graph.node)
    if not node.input:
        return
    place = list(model.graph.node).index(node)
    name = f"inserted_{chance.randrange(10**6)}"
    more = [chance.choice([one.name for one in model.graph.initializer] or ["latent"])]
    inserted = onnx.helper.make_node(
        chance.choice(_OPERATORS), [node.input[0], *more[: chance.randrange(2)]], [name]
    )
    node.input[0] = name
    model.graph.node.insert(place, inserted)


def _loss(model: onnx.ModelProto, chance: random.Random) -> None:
    parts = [part for part in (model.graph.node, model.graph.initializer, model.graph.input) if part]
    chance.choice(parts).pop()


_GRAPH_EDITS = (_any_field, _any_field, _setting, _setting, _numbers_of_a_shape, _operator, _operator,
                _wiring, _insertion, _insertion, _loss)  # fmt: skip


def _manifest(data: bytes, chance: random.Random) -> bytes:
    document = json.loads(data)
    for _ in range(chance.randint(1, _MOST_EDITS)):
        place: Any = document
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = chance.choice(keys)
            if not isinstance(place[key], dict | list) or not place[key] or chance.random() < 0.3:
                place[key] = chance.choice(
                    (None, *_NUMBERS, 10**30, *_FLOATS, *_WORDS, [], {}, [[]], "x" * 10_000)
                )
                break
            place = place[key]
    return json.dumps(document).encode()
