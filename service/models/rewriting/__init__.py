"""A model's graph in the form that a processor takes least time for; images differ by float32's rounding."""

from __future__ import annotations

import onnx

from service.models.rewriting.doublings import DoublingsInPhases, is_worthwhile
from service.models.rewriting.editing import Rewriting
from service.models.rewriting.narrow_convolutions import NarrowConvolutionsTransposed
from service.models.rewriting.single_pixels import SinglePixelsAsProducts

__all__ = ["FORM", "as_cpus_are_quick_at"]

FORM = 2
"""Of what is run; another number where graphs are written otherwise, as one may survive and the other not."""


def as_cpus_are_quick_at(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the same function in the form that this machine's CPU takes the least time for.

    The graph is one that was audited: raises ``UnusableModel`` if shapes do not follow from its inputs'.
    """
    rewritings: list[type[Rewriting]] = [SinglePixelsAsProducts, NarrowConvolutionsTransposed]
    if is_worthwhile():
        rewritings.insert(1, DoublingsInPhases)
    for rewriting in rewritings:
        model = rewriting(model).written()
    return model
