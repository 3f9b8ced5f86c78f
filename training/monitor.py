"""What a run shows of itself: progress bar, metrics.jsonl, the doctor's log, TensorBoard, grids."""

from __future__ import annotations

import sys
from typing import Any, Self

import numpy as np
from tqdm import tqdm

from training.animation import animate
from training.board import Board
from training.grids import draw_overview
from training.journal import Journal
from training.run import RunDirectory
from training.sampling import Sampler
from training.storage import whole_file


class Monitor:
    """Everything a run shows, opened and closed together; a context manager.

    What was shown later than ``images_seen`` is taken back: a run that goes on from there shows it again.
    """

    def __init__(self, run: RunDirectory, total_images: int, images_seen: int) -> None:
        self._run = run
        for grid in run.grids():
            if int(grid.stem) > images_seen:
                grid.unlink()
        self._metrics = Journal(run.metrics_file, images_seen)
        self._doctor_log = Journal(run.doctor_log, images_seen)
        self._board = Board(run.tensorboard, images_seen)
        self._bar = tqdm(
            total=total_images,
            initial=images_seen,
            unit="img",
            unit_scale=True,
            smoothing=0.05,
            disable=not sys.stderr.isatty(),
            file=sys.stderr,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._board.close()
        self._metrics.close()
        self._doctor_log.close()

    def advance(self, images: int) -> None:
        """Move the bar on."""
        self._bar.update(images)

    def report(self, images_seen: int, means: dict[str, float], **facts: float) -> None:
        """Write the means of what was measured since the last report everywhere."""
        self._metrics.write(images_seen, **means, **facts)
        self._board.scalars(images_seen, means)
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in means.items()}, refresh=False)

    def record_check(self, images_seen: int, numbers: dict[str, float], **facts: Any) -> None:  # noqa: ANN401 - any JSON
        """Write what the doctor found to its log, and its figures to TensorBoard."""
        self._doctor_log.write(images_seen, **facts)
        self._board.scalars(images_seen, {f"doctor/{name}": value for name, value in numbers.items()})

    def say(self, text: str) -> None:
        """Write lines to stderr, above the bar."""
        self._bar.write(text, file=sys.stderr)

    def sample(self, images_seen: int, sampler: Sampler) -> None:
        """Draw the fixed latent batch and keep the picture."""
        picture = draw_overview(sampler)
        with whole_file(self._run.grid_file(images_seen)) as stream:
            picture.save(stream, format="PNG")
        self._board.picture(images_seen, "samples", np.asarray(picture))

    def sync(self) -> None:
        """Have metrics and checks outlive a power cut, as the checkpoint that follows will."""
        self._metrics.sync()
        self._doctor_log.sync()

    def animate(self) -> None:
        """Make the animation of the grids there are."""
        animate(self._run.grids(), self._run.animation_file)


class SilentMonitor(Monitor):
    """What the processes show that do not write: nothing."""

    def __init__(self, run: RunDirectory, total_images: int, images_seen: int) -> None:
        del run, total_images, images_seen

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, images: int) -> None:
        """Show nothing."""

    def report(self, images_seen: int, means: dict[str, float], **facts: float) -> None:
        """Write nothing."""

    def record_check(self, images_seen: int, numbers: dict[str, float], **facts: Any) -> None:  # noqa: ANN401 - any JSON
        """Write nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def sample(self, images_seen: int, sampler: Sampler) -> None:
        """Draw nothing."""

    def sync(self) -> None:
        """Sync nothing."""

    def animate(self) -> None:
        """Make nothing."""
