"""What every rewriting of a graph needs: what is known of its values, and a place for what is new."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service.models.graph_shapes import Skeleton

_OF_AN_IMAGE = 4
_MANY_ROWS = 61
"""What a row is of the same shape for one and for so many is taken not to depend on how many there are."""


class Rewriting(ABC):
    """One pass over a graph, in which nodes make way for others that compute the same.

    Values differ from the original graph's by float32's rounding. Weights that are computed, or may be fed,
    and graphs with others inside their nodes stay as they are.
    """

    prefix: str
    """What the names of new values begin with."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._fed = {value.name for value in model.graph.input}
        self.outputs = {value.name for value in model.graph.output}
        self._given = {
            tensor.name: tensor for tensor in model.graph.initializer if tensor.name not in self._fed
        }
        self._takers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in set(node.input):
                self._takers.setdefault(name, []).append(node)
        self._new: list[TensorProto] = []

    @abstractmethod
    def instead_of(self, node: onnx.NodeProto) -> Iterable[onnx.NodeProto]:
        """Return what takes a node's place, itself if it stays; asked for each node in the graph's order."""

    def written(self) -> onnx.ModelProto:
        """Return the graph as it is written now, or the one that was given, which stays as it is."""
        given = self._model.graph
        if _has_graphs_inside(given):
            return self._model
        nodes = [new for node in given.node for new in self.instead_of(node)]
        if nodes == list(given.node):
            return self._model
        result = onnx.ModelProto()
        result.CopyFrom(self._model)
        graph = result.graph
        taken = _taken_in(nodes, self.outputs) | self._fed  # what may be fed has a value for when it is not
        weights = [*given.initializer, *self._new]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(node for node in nodes if not taken.isdisjoint(node.output))
        graph.initializer.extend(tensor for tensor in weights if tensor.name in taken)
        return result

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape for a single row of each value that has a row for each one fed, and of the same shape.

        Raises ``UnusableModel`` if shapes do not follow from the inputs'.
        """
        skeleton = Skeleton(self._model)
        one, many = skeleton.values(1), skeleton.values(_MANY_ROWS)
        return {
            name: value.shape
            for name, value in one.items()
            if value.shape[:1] == (1,) and many[name].shape == (_MANY_ROWS, *value.shape[1:])
        }

    def takers(self, name: str) -> list[onnx.NodeProto]:
        """Return the nodes that take a value in."""
        return self._takers.get(name, [])

    def kernel(self, node: onnx.NodeProto) -> NDArray[np.float32] | None:
        """Return the weights of a convolution of images as they are, if the graph holds them as float32.

        None if they are those of another node too: each would have a copy of its own, without end.
        """
        name = node.input[1]
        tensor = self._given.get(name)
        if tensor is None or tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != _OF_AN_IMAGE:
            return None
        if len(self.takers(name)) > 1 or name in self.outputs:
            return None
        return numpy_helper.to_array(tensor)

    def is_given(self, name: str) -> bool:
        """Tell whether the file holds a value."""
        return name in self._given

    def given(self, name: str) -> NDArray[Any]:
        """Return a value that the file holds."""
        return numpy_helper.to_array(self._given[name])

    def constant(self, name: str) -> NDArray[Any] | None:
        """Return a value that the graph states, as a weight or by a node of its own."""
        if self.is_given(name):
            return self.given(name)
        for node in self._model.graph.node:
            if is_operator(node, "Constant") and name in node.output:
                stated = settings_of(node).get("value")
                return None if stated is None else numpy_helper.to_array(stated)
        return None

    def add(self, name: str, value: NDArray[Any]) -> str:
        """Add a weight, and return its name."""
        self._new.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


def is_operator(node: onnx.NodeProto, *operators: str) -> bool:
    """Tell whether a node is one of ONNX's own operators of these names."""
    return not node.domain and node.op_type in operators


def settings_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def is_plain(node: onnx.NodeProto, size: Iterable[int], *, stride: int | None) -> bool:
    """Tell whether a convolution of an image has one group, and this stride, and says its pads itself.

    Every stride will do for None.
    """
    given = settings_of(node)
    plain = {"group": 1, "dilations": [1, 1], "auto_pad": b"NOTSET", "kernel_shape": list(size)}
    if stride is not None and given.get("strides", [1, 1]) != [stride, stride]:
        return False
    return "output_shape" not in given and all(
        given.get(name, value) == value for name, value in plain.items()
    )


def pads_of(node: onnx.NodeProto) -> list[int]:
    """Return a convolution's pads of the near edges and then of the far ones."""
    return list(settings_of(node).get("pads", [0] * 4))


def _has_graphs_inside(graph: onnx.GraphProto) -> bool:
    """Tell whether nodes hold graphs of their own, which may take in any value of this one."""
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    return any(attribute.HasField("g") or attribute.graphs for attribute in attributes)


def _taken_in(nodes: list[onnx.NodeProto], outputs: set[str]) -> set[str]:
    """Return the names of all values that the outputs come of, themselves among them."""
    taken = set(outputs)
    for node in reversed(nodes):  # a value is made before it is taken in
        if not taken.isdisjoint(node.output):
            taken.update(name for name in node.input if name)
    return taken
