"""What a run shows of itself: progress bar, metrics.jsonl, TensorBoard, sample grids."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Self, TextIO

import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.grids import draw_overview
from training.run import RunDirectory
from training.sampling import Sampler


def _drop_later_lines(path: Path, images_seen: int) -> None:
    """Cut the metrics back to what the resumed checkpoint knew of."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            if json.loads(line)["images_seen"] <= images_seen and line.endswith("\n"):
                kept.append(line)
        except (ValueError, KeyError):
            continue  # the torn last line of a killed run
    path.write_text("".join(kept), encoding="utf-8")


class Monitor:
    """Collects each step's figures and reports their means; a context manager."""

    def __init__(
        self, run: RunDirectory, total_images: int, images_seen: int, stream: TextIO = sys.stderr
    ) -> None:
        _drop_later_lines(run.metrics_file, images_seen)
        self._run = run
        self._metrics = run.metrics_file.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(run.tensorboard), purge_step=images_seen)
        self._bar = tqdm(
            total=total_images,
            initial=images_seen,
            unit="img",
            unit_scale=True,
            smoothing=0.05,
            disable=not stream.isatty(),
            file=stream,
        )
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = defaultdict(int)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._board.close()
        self._metrics.close()

    def record(self, images: int, **figures: Tensor) -> None:
        """Take in one step's figures (scalar tensors, left on their device until reported)."""
        for name, value in figures.items():
            total = self._sums.get(name)
            self._sums[name] = value.detach() if total is None else total + value.detach()
            self._counts[name] += 1
        self._bar.update(images)

    @property
    def pending(self) -> bool:
        """Whether steps were recorded since the last report."""
        return bool(self._sums)

    def report(self, images_seen: int, **facts: float) -> dict[str, float]:
        """Write the means since the last report everywhere, and return them."""
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self._sums.clear()
        self._counts.clear()
        line: dict[str, Any] = {"images_seen": images_seen, **means, **facts}
        self._metrics.write(json.dumps(line) + "\n")
        self._metrics.flush()
        for name, value in means.items():
            self._board.add_scalar(name, value, images_seen)
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in means.items()}, refresh=False)
        return means

    def sample(self, images_seen: int, sampler: Sampler) -> Path:
        """Draw the fixed latent batch and keep the picture."""
        picture = draw_overview(sampler)
        path = self._run.samples / f"{images_seen:012d}.png"
        picture.save(path)
        pixels = np.asarray(picture)
        self._board.add_image("samples", pixels, images_seen, dataformats="HW" if pixels.ndim == 2 else "HWC")
        return path
