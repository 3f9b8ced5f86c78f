"""The small classifier that judges: its features are the space of the distances.

Shapes: N rows, K classes, F features, C H W an image.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.augment import translate
from training.batches import BatchOrder
from training.checkpoint import Damaged, load_checkpoint, write_sealed
from training.data.dataset import Dataset, Part
from training.evaluation.selection import noise_like
from training.locks import locked_when_free
from training.shards import Draws
from training.storage import sweep

logger = logging.getLogger("training.evaluation")

FEATURES = 128
_EPOCHS = 30
_BATCH = 100
_LEARNING_RATE = 2e-3
_SHIFT = 0.08
_SEED = 0
_ROWS_PER_BATCH = 500
REVISION = 1
"""Changes with the architecture or its training: figures of different revisions do not compare."""


class SmallClassifier(nn.Module):
    """Two stages of convolutions, one hidden layer whose activations are the features."""

    def __init__(self, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            *_stage(channels, 32),
            nn.MaxPool2d(2, ceil_mode=True),
            *_stage(32, 64),
            nn.MaxPool2d(2, ceil_mode=True),
            *_stage(64, 64),
            nn.AdaptiveAvgPool2d((min(4, -(-height // 4)), min(4, -(-width // 4)))),
            nn.Flatten(),
        )
        cells = min(4, -(-height // 4)) * min(4, -(-width // 4))
        self.hidden = nn.Linear(64 * cells, FEATURES)
        self.dropout = nn.Dropout(0.4)
        self.to_classes = nn.Linear(FEATURES, classes)

    def features(self, images_NCHW: Tensor) -> Tensor:
        """Return the hidden layer's activations, ``[N, F]``."""
        return functional.relu(self.hidden(self.stages(images_NCHW)))

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return a logit for each class, ``[N, K]``."""
        return self.to_classes(self.dropout(self.features(images_NCHW)))


def _stage(channels_in: int, channels_out: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(channels_out), nn.ReLU()]


def _pixels(part: Part) -> NDArray[np.uint8]:
    return np.asarray(part.samples, np.uint8)


def _tensor(pixels_NHWC: NDArray[np.uint8]) -> Tensor:
    images = torch.from_numpy(np.array(pixels_NHWC)).permute(0, 3, 1, 2).float()
    return images.sub_(127.5).div_(127.5)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: sums are then added in one order, whatever the machine's settings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def train_classifier(part: Part, classes: int) -> SmallClassifier:
    """Train on labelled images with small shifts, from a fixed seed; returns it ready to judge."""
    if part.labels is None:
        raise ValueError("a classifier needs labels")
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(_SEED)
        shifts = Draws(torch.Generator().manual_seed(_SEED))
        images, labels = _tensor(_pixels(part)), torch.from_numpy(np.array(part.labels))
        model = SmallClassifier(images.shape[1], images.shape[2], images.shape[3], classes)
        optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
        batch = min(_BATCH, len(part))
        steps = _EPOCHS * max(1, len(part) // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps)
        order = BatchOrder(len(part), _SEED)
        model.train()
        for step in range(steps):
            rows = torch.from_numpy(order.rows(step * batch, batch))
            logits = model(translate(images[rows], _SHIFT, shifts))
            loss = functional.cross_entropy(logits, labels[rows], label_smoothing=0.05)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def predict(model: SmallClassifier, pixels_NHWC: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the class that each image is taken for: int64 ``[N]``."""
    pieces = [
        model(_tensor(pixels_NHWC[start : start + _ROWS_PER_BATCH])).argmax(dim=1)
        for start in range(0, len(pixels_NHWC), _ROWS_PER_BATCH)
    ]
    return np.asarray(torch.cat(pieces).numpy())


def accuracy(model: SmallClassifier, part: Part) -> float:
    """Return the share of a part's images that are taken for their own class."""
    return float(np.mean(predict(model, _pixels(part)) == part.labels))


@dataclass(frozen=True)
class Judge:
    """A trained classifier with what identifies it."""

    model: SmallClassifier
    digest: str
    held_out_accuracy: float

    @torch.no_grad()
    def features(self, pixels_NHWC: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return float64 features ``[N, F]``."""
        pieces = [
            self.model.features(_tensor(pixels_NHWC[start : start + _ROWS_PER_BATCH]))
            for start in range(0, len(pixels_NHWC), _ROWS_PER_BATCH)
        ]
        return torch.cat(pieces).double().numpy()


def judge_for(dataset: Dataset, cache_dir: Path) -> Judge:
    """Return the data set's classifier, trained on its training part once and then kept."""
    model = _kept("judge", dataset, cache_dir, lambda: dataset.part(held_out=False))
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return Judge(model, "sha256:" + digest.hexdigest(), accuracy(model, dataset.part(held_out=True)))


def accuracy_from_noise(dataset: Dataset, cache_dir: Path) -> float:
    """Return how well a classifier reads held-out images that was trained on noise: about chance.

    It is trained on as much noise, under the same labels, as there are training images, and kept.
    """

    def noise() -> Part:
        training = dataset.part(held_out=False)
        return Part(noise_like(training, len(training)), training.labels)

    return accuracy(_kept("noise", dataset, cache_dir, noise), dataset.part(held_out=True))


def _kept(what: str, dataset: Dataset, cache_dir: Path, part: Callable[[], Part]) -> SmallClassifier:
    """Return the classifier that is kept under this name with the data set, trained first if it is not."""
    if dataset.classes is None:
        raise ValueError("a data set without classes has no classifier")
    path = cache_dir / f"{what}-{REVISION}-{dataset.digest.removeprefix('sha256:')[:16]}.pt"
    height, width, channels = dataset.samples.shape[1:]
    model = SmallClassifier(channels, height, width, dataset.classes)
    if _read_kept(path, model):
        return model
    cache_dir.mkdir(parents=True, exist_ok=True)
    with locked_when_free(cache_dir / f".{path.name}.lock", f"training the classifier {path}"):
        if not _read_kept(path, model):
            sweep(cache_dir, path.name)
            model = train_classifier(part(), dataset.classes)
            write_sealed(path, model.state_dict())
    return model


def _read_kept(path: Path, model: SmallClassifier) -> bool:
    """Take over the weights that are kept; returns whether there are any that can be read."""
    try:
        model.load_state_dict(load_checkpoint(path))
    except FileNotFoundError:
        return False
    except (Damaged, RuntimeError) as error:  # RuntimeError: weights of another shape
        logger.warning("%s; training the classifier anew", error)
        return False
    model.eval()
    return True
