"""What a finished run leaves, taken down so that two runs can be compared to the last bit."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.checkpoint import checkpoints, load_newest
from training.run import RunDirectory

_TIMES = {"wall_time_s"}
"""Times are those of the machine, and differ."""


def evidence(path: Path) -> dict[str, str]:
    """Return a line for each thing that must not depend on how often the run was stopped.

    Weights, averages, optimisers, random states and counters of the last checkpoint; every metric; every
    check of the doctor, and the state that it thinks best; the grids and their animation; TensorBoard's
    curves as TensorBoard reads them.
    """
    run = RunDirectory(path)
    checkpoint, state = load_newest(run.checkpoints)
    found = {"checkpoint": checkpoint.name, **dict(_leaves("state", state))}
    for file in (run.metrics_file, run.doctor_log):
        for number, line in enumerate(file.read_text().splitlines()):
            figures = {name: value for name, value in json.loads(line).items() if name not in _TIMES}
            found[f"{file.name}, line {number}"] = json.dumps(figures)
    if checkpoints(run.best):
        best, state = load_newest(run.best)
        found |= {"best": best.name, **dict(_leaves("best", state))}
    for picture in (*run.grids(), run.animation_file):
        found[picture.name] = _digest(picture.read_bytes())
    found |= _curves(run.tensorboard)
    leftovers = [str(file.relative_to(path)) for file in path.rglob("*.partial")]
    return found | {"leftovers": ", ".join(leftovers)}


def differences(expected: dict[str, str], got: dict[str, str]) -> list[str]:
    """Return the names of what is not the same, or only in one."""
    names = [*expected, *(name for name in got if name not in expected)]
    return [name for name in names if expected.get(name) != got.get(name)]


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in _TIMES:
                yield from _leaves(f"{name}.{key}", part)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _leaves(f"{name}.{number}", part)
    elif isinstance(value, torch.Tensor):
        content = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        yield name, f"{value.dtype} {tuple(value.shape)} {_digest(content)}"
    else:
        yield name, repr(value)


def _curves(folder: Path) -> dict[str, str]:
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it would tell of each restart
    board = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()
    curves = {
        f"curve {tag}": repr([(point.step, point.value) for point in board.Scalars(tag)])
        for tag in board.Tags()["scalars"]
    }
    pictures = {
        f"board's {tag}": repr(
            [(drawn.step, _digest(drawn.encoded_image_string)) for drawn in board.Images(tag)]
        )
        for tag in board.Tags()["images"]
    }
    return curves | pictures


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
