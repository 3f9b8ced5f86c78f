"""One report for one generator: figures with their reference rows, and what they amount to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.manifest import EvaluationFacts
from training.data import Dataset
from training.errors import DataError
from training.evaluation.distances import NEIGHBOURS
from training.evaluation.images import ClassFigures, judge_images
from training.evaluation.request import Request
from training.evaluation.vectors import judge_numbers
from training.evaluation.verdict import Verdict, reach_verdict
from training.sampling import Sampler

REVISION = 2
"""Changes with what a report holds: a kept one of another revision is made anew."""


@dataclass(frozen=True)
class Report:
    """What was found out about a generator's draws.

    ``pixels`` are the judged images ``[N, H, W, C]``, asked for by ``labels`` if by any; ``numbers`` are
    the judged numbers ``[N]`` by row. One of the two is there.
    """

    facts: EvaluationFacts
    verdict: Verdict
    classes: tuple[ClassFigures, ...] = ()
    pixels: NDArray[np.uint8] | None = None
    labels: NDArray[np.int64] | None = None
    numbers: dict[str, NDArray[np.float64]] | None = None

    def document(self, **about: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
        """Return the report as JSON, with what the caller knows ``about`` the generator."""
        return {
            "revision": REVISION,
            **about,
            **self.facts.model_dump(mode="json"),
            "verdict": asdict(self.verdict),
            "classes": [asdict(figures) for figures in self.classes],
        }


def evaluate(sampler: Sampler, dataset: Dataset, cache_dir: Path, request: Request | None = None) -> Report:
    """Judge the sampler's draws by the data set's held-out part.

    Unless the request says otherwise, as many are drawn as are held out, in the same classes, without
    truncation. The same request gives the same report. Raises ``DataError`` if too few samples are
    held out to judge by.
    """
    request = request or Request()
    if dataset.held_out.sum() <= NEIGHBOURS:
        raise DataError(f"{dataset.name}: more than {NEIGHBOURS} held-out samples are needed to evaluate")
    if dataset.output.kind == "vector":
        facts, numbers = judge_numbers(sampler, dataset, request)
        return Report(facts, reach_verdict(facts), numbers=numbers)
    judged = judge_images(sampler, dataset, cache_dir, request)
    return Report(judged.facts, reach_verdict(judged.facts), judged.classes, judged.pixels, judged.labels)
