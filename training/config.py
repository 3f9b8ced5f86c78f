"""The settings of a training run: frozen, typed, validated once, printed and saved with the run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from training.part_config import Frozen
from training.recipe_config import Recipe

_CHECKS, _SHORTEST_CHECK_KIMG = 40, 2.0
"""A check costs as much as training on some 150 images: at the recipes' own lengths it is hardly felt."""


class Provenance(Frozen):
    """What a run was begun with."""

    source_commit: str | None
    library_versions: dict[str, str]


class FolderOptions(Frozen):
    """How to read data of one's own, whatever form it comes in.

    ``size`` is (height, width) in pixels, or None to choose: the images' own size where they all
    share one of at most 128 pixels, else 64 x 64. ``channels`` is None to choose: 1 where every image
    is grey, else 3; only where 4 is asked for is transparency kept. ``skip_bad`` leaves unreadable
    images out where they would stop the reading. The columns are those of tables (``metadata.csv``,
    parquet, hub): None takes the only one that can be meant.
    """

    size: tuple[int, int] | None = None
    channels: Literal[1, 3, 4] | None = None
    skip_bad: bool = False
    image_column: str | None = None
    label_column: str | None = None


OnFailure = Literal["warn", "stop", "rollback"]


class RunConfig(Frozen):
    """A run: a recipe on a data set, from a seed, with how often it reports, saves and is examined."""

    recipe: Recipe
    data: str
    """An embedded set's name or a folder."""
    folder: FolderOptions = FolderOptions()
    dataset_digest: str
    seed: int = Field(default=0, ge=0, le=2**53 - 1)
    provenance: Provenance | None = None
    threads: int | None = Field(default=None, ge=1)
    """CPU threads that it was begun with: another number adds sums up in another order."""
    log_every_kimg: float = Field(default=1.0, gt=0)
    sample_every_kimg: float = Field(default=20.0, gt=0)
    checkpoint_every_kimg: float = Field(default=20.0, gt=0)
    doctor_every_kimg: float | None = Field(default=None, gt=0)
    """How often the doctor looks; None is a fortieth of the run, and two thousand images at least."""
    on_failure: OnFailure = "warn"
    """What happens when the doctor names a failure."""

    @property
    def check_every_kimg(self) -> float:
        """How often the doctor looks, in thousand images."""
        return self.doctor_every_kimg or max(self.recipe.total_kimg / _CHECKS, _SHORTEST_CHECK_KIMG)
