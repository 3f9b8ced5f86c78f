"""Whether latent arithmetic and interpolation mean something: are the results still what the model draws?

Judged over HTTP, as a user sees them, by the classifier that evaluation uses: its confidence (the largest
probability), how often it reads the class that was asked for, and the density of the results among real
images (Naeem et al., arXiv:2002.09797), each beside plain samples. Two controls show what bad figures look
like: pixel averages of two samples of different classes, and noise.

    make serve &            # in another terminal
    .venv/bin/python -m bench.meaning --url http://localhost:3000 --model mnist --data mnist5k
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from numpy.typing import NDArray

from training.data import load_dataset
from training.data.dataset import Dataset
from training.evaluation.classifier import Judge, judge_for
from training.evaluation.distances import density_and_coverage

Pixels = NDArray[np.uint8]
RESULTS = Path(__file__).parent / "results"
_SUMS = 500
_PATHS = 250


@dataclass(frozen=True)
class Row:
    """One kind of result: what the classifier thinks of it."""

    kind: str
    images: int
    confidence: float
    tenth_percentile: float
    as_asked: float
    density: float


class Studio:
    """A running service, asked for arrays."""

    def __init__(self, url: str, model: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60.0)
        self._model = model
        self.described = self._client.get(f"/models/{model}").raise_for_status().json()

    def draw(self, route: str, **body: Any) -> Pixels:  # noqa: ANN401 - a JSON body
        """Return the images of an answer, uint8 ``[N, H, W, C]``."""
        response = self._client.post(
            route, json={"model": self._model, **body}, headers={"accept": "application/x-npy"}
        )
        assert response.status_code == 200, response.text
        array: Pixels = np.load(io.BytesIO(response.content))
        return array


def sums(studio: Studio, classes: int, normalize: str, exemplars: int) -> tuple[Pixels, NDArray[np.int64]]:
    """Draw a - b + c, each the mean of some exemplars, all of one class, its number going round."""
    asked = np.arange(_SUMS) % classes
    drawn = [
        studio.draw(
            "/arithmetic",
            terms=[
                {"weight": weight, "of": [{"seed": 3 * number + term, "index": i} for i in range(exemplars)]}
                for term, weight in enumerate((1, -1, 1))
            ],
            class_label=int(label),
            normalize=normalize,
        )
        for number, label in enumerate(asked)
    ]
    return np.concatenate(drawn), asked


def middles(studio: Studio, classes: int, method: str) -> tuple[Pixels, NDArray[np.int64]]:
    """Draw the middle of paths through four latents of one class."""
    asked = np.arange(_PATHS) % classes
    drawn = [
        studio.draw(
            "/interpolate",
            keyframes=[{"latent": {"seed": number, "index": i}, "class_label": int(label)} for i in range(4)],
            steps=3,
            method=method,
        )[3:4]
        for number, label in enumerate(asked)
    ]
    return np.concatenate(drawn), asked


def crossings(
    studio: Studio, classes: int
) -> Iterator[tuple[float, Pixels, NDArray[np.int64], NDArray[np.int64]]]:
    """Draw paths from a class to another, and yield their points, each share of the way by itself."""
    first = np.arange(_PATHS) % classes
    second = (first + 1 + np.arange(_PATHS) // classes % (classes - 1)) % classes
    drawn = np.stack(
        [
            studio.draw(
                "/interpolate",
                keyframes=[
                    {"latent": {"seed": number, "index": 0}, "class_label": int(one)},
                    {"latent": {"seed": number, "index": 1}, "class_label": int(other)},
                ],
                steps=9,
            )
            for number, (one, other) in enumerate(zip(first, second, strict=True))
        ],
        axis=1,
    )
    for step in (1, 2, 3, 4):
        both = np.concatenate([drawn[step], drawn[8 - step]])
        yield step / 8, both, np.tile(first, 2), np.tile(second, 2)


def measure(studio: Studio, dataset: Dataset, judge: Judge) -> Iterator[Row]:
    """Yield a row for plain samples, for each kind of result, and for the controls."""
    classes = len(studio.described["classes"])
    real = judge.features(np.asarray(dataset.part(held_out=False).samples, np.uint8))

    def row(kind: str, images: Pixels, *asked: NDArray[np.int64]) -> Row:
        with torch.no_grad():
            inputs = torch.from_numpy(images).permute(0, 3, 1, 2).float().sub(127.5).div(127.5)
            shares = judge.model(inputs).softmax(dim=1).numpy()
        read, sure = shares.argmax(axis=1), shares.max(axis=1)
        hits = np.any([read == wanted for wanted in asked], axis=0) if asked else np.zeros(1)
        density, _ = density_and_coverage(real, judge.features(images))
        return Row(
            kind, len(images), float(sure.mean()), float(np.quantile(sure, 0.1)), float(hits.mean()), density
        )

    plain = np.concatenate(
        [
            studio.draw("/generate", n=50, seed=1000 + part, index=0, class_label="balanced")
            for part in range(20)
        ]
    )
    label = np.arange(50) % classes
    yield row("plain samples", plain, np.tile(label, 20))
    for exemplars, normalize in ((3, "match"), (1, "match"), (1, "sphere"), (1, "none")):
        kind = f"a - b + c, {exemplars} exemplar{'s' * (exemplars > 1)} each, {normalize}"
        yield row(kind, *sums(studio, classes, normalize, exemplars))
    for method in ("slerp", "match", "cubic", "linear"):
        yield row(f"middle of a path in one class, {method}", *middles(studio, classes, method))
    for share, images, first, second in crossings(studio, classes):
        yield row(f"{share:.3f} of the way from class to class, slerp", images, first, second)
    shifted = np.roll(plain, 1, axis=0)
    average = ((plain.astype(np.uint16) + shifted) // 2).astype(np.uint8)
    yield row("control: pixel averages", average, np.tile(label, 20), np.roll(np.tile(label, 20), 1))
    noise = np.random.default_rng(0).integers(0, 256, plain.shape, dtype=np.uint8)
    yield row("control: noise", noise)


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| drawn | images | confidence | its 10th percentile | read as asked | density |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        figures = (row.confidence, row.tenth_percentile, row.as_asked, row.density)
        lines.append(f"| {row.kind} | {row.images} | " + " | ".join(f"{one:.3f}" for one in figures) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure one model of a running service; write the figures to ``bench/results/``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", default="http://localhost:3000")
    parser.add_argument("--model", default="mnist")
    parser.add_argument("--data", default="mnist5k", help="the data set that the model was trained on")
    parser.add_argument("--cache", type=Path, default=Path(".cache/data"))
    arguments = parser.parse_args()
    studio = Studio(arguments.url, arguments.model)
    dataset = load_dataset(arguments.data, arguments.cache)
    judge = judge_for(dataset, arguments.cache)
    rows = list(measure(studio, dataset, judge))
    facts = {
        "model": arguments.model,
        "model_digest": studio.described["digest"],
        "classifier": judge.digest,
        "classifier_held_out_accuracy": judge.held_out_accuracy,
        "rows": [asdict(row) for row in rows],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"meaning-{arguments.model}.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
