"""What every rewriting of a graph needs: attributes, weights, and the parts that are left over."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import helper


def settings_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def weights_of(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the tensors that the file holds, by name; those that a caller may feed are none."""
    fed = {value.name for value in graph.input}
    return {tensor.name: tensor for tensor in graph.initializer if tensor.name not in fed}


def has_graphs_inside(graph: onnx.GraphProto) -> bool:
    """Tell whether nodes hold graphs of their own, which may take in any value of this one."""
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    return any(attribute.HasField("g") or attribute.graphs for attribute in attributes)


def let_go_of_unused_weights(graph: onnx.GraphProto) -> None:
    """Drop the tensors that nothing takes in any more."""
    taken = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in taken]:
        graph.initializer.remove(tensor)
