"""What one operator of a graph may be: on the list, and put together as ONNX defines it.

Kernels trust that: one that is told of fewer outputs than it has writes where nothing is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import onnx
from onnx import AttributeProto, defs

from service.errors import UnusableModel
from service.models.operators import COUNTS, DOMAINS, MOST_OF_A_COUNT, OPERATORS

_ATTRIBUTE_TYPES = frozenset(
    {
        AttributeProto.FLOAT,
        AttributeProto.INT,
        AttributeProto.STRING,
        AttributeProto.FLOATS,
        AttributeProto.INTS,
        AttributeProto.TENSOR,
    }
)


def held(what: str) -> UnusableModel:
    """Return the refusal of something that a graph holds."""
    return UnusableModel(f"the graph holds {what}, which is not allowed")


def check_node(node: onnx.NodeProto, operator_set: int) -> None:
    """Raise ``UnusableModel`` unless the operator is on the list, and as its definition in the set says."""
    operator = node.op_type[:60]
    if node.domain not in DOMAINS:
        raise held(f"the operator {node.domain[:60]}::{operator}")
    if node.op_type not in OPERATORS:
        allowed = " ".join(sorted(OPERATORS))
        raise UnusableModel(f"the graph holds the operator {operator!r}; allowed: {allowed}")
    if node.overload:
        raise held(f"an overload of the operator {operator}")
    schema = _schema(node.op_type, operator_set)
    if schema is None or schema.deprecated:
        raise UnusableModel(f"there is no operator {operator} in the operator set {operator_set}")
    takes, gives = (
        range(schema.min_input, schema.max_input + 1),
        range(schema.min_output, schema.max_output + 1),
    )
    if len(node.input) not in takes or len(node.output) not in gives:
        raise UnusableModel(
            f"an operator {operator} has {len(node.input)} inputs and {len(node.output)} outputs, not "
            f"{takes.start} to {takes.stop - 1} and {gives.start} to {gives.stop - 1}"
        )
    # What is optional may be left out at the end, or named by nothing; what is not must be there.
    if "" in node.input[: schema.min_input] or "" in node.output[: schema.min_output]:
        raise UnusableModel(f"an operator {operator} lacks an input or an output")
    _check_attributes(node, schema)


def _check_attributes(node: onnx.NodeProto, schema: defs.OpSchema) -> None:
    operator = node.op_type
    given = [attribute.name for attribute in node.attribute]
    required = {name for name, attribute in schema.attributes.items() if attribute.required}
    if len(set(given)) < len(given) or not required.issubset(given):
        raise UnusableModel(f"an operator {operator} has a setting twice, or lacks one of {sorted(required)}")
    for attribute in node.attribute:
        name = attribute.name[:60]
        if attribute.type not in _ATTRIBUTE_TYPES or attribute.ref_attr_name:
            raise held(f"a setting {name!r} of {operator} that is neither number nor text")
        known = schema.attributes.get(attribute.name)
        if known is None or known.type != getattr(
            defs.OpSchema.AttrType, AttributeProto.AttributeType.Name(attribute.type)
        ):
            raise UnusableModel(f"an operator {operator} has a setting {name!r} that it does not know so")
        if attribute.name in COUNTS and not _are_counts(attribute):
            raise UnusableModel(f"{name} of an operator {operator} must be from 1 to {MOST_OF_A_COUNT}")
        if attribute.name == "num_outputs" and attribute.i != len(node.output):
            raise UnusableModel(f"an operator {operator} of {len(node.output)} outputs states {attribute.i}")


def _are_counts(attribute: onnx.AttributeProto) -> bool:
    given: Sequence[int] = attribute.ints if attribute.type == AttributeProto.INTS else [attribute.i]
    return all(1 <= number <= MOST_OF_A_COUNT for number in given)


@cache
def _schema(operator: str, operator_set: int) -> defs.OpSchema | None:
    try:
        return defs.get_schema(operator, operator_set)
    except defs.SchemaError:
        return None
