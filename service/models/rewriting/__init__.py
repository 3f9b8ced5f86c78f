"""A model's graph in the form that a processor takes least time for; images differ by float32's rounding."""

from __future__ import annotations

import onnx

from service.errors import UnusableModel
from service.models.graph_budget import check_budget
from service.models.rewriting.doublings import DoublingsInPhases, is_worthwhile
from service.models.rewriting.editing import Rewriting
from service.models.rewriting.narrow_convolutions import NarrowConvolutionsTransposed
from service.models.rewriting.single_pixels import SinglePixelsAsProducts

__all__ = ["FORM", "as_cpus_are_quick_at"]

FORM = 3
"""Of what is run; another number where graphs are written otherwise, as one may survive and the other not."""
_MOST_BYTES = 2**31 - 2**24
"""Of a file's weights, and what a run holds beside them: a larger file could not be handed over."""


def as_cpus_are_quick_at(model: onnx.ModelProto, max_batch: int, most_bytes: int) -> onnx.ModelProto:
    """Return the same function in the form that this machine's CPU takes the least time for.

    The graph is one that was audited, for runs of so many rows and so much memory; should the other form take
    more, it stays as it is.
    """
    rewritings: list[type[Rewriting]] = [SinglePixelsAsProducts, NarrowConvolutionsTransposed]
    if is_worthwhile():
        rewritings.insert(1, DoublingsInPhases)
    result = model
    for rewriting in rewritings:
        result = rewriting(result).written()
    try:
        check_budget(result, max_batch, min(most_bytes, _MOST_BYTES))
    except UnusableModel:
        return model
    return result
