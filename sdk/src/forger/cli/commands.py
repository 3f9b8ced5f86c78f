"""What each command does; it returns the exit status."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from forger.admin import Admin
from forger.bulk.verify import verify
from forger.client import Client
from forger.errors import Misuse
from forger.latents import parse_keyframe, parse_sum
from forger.models import Standing
from forger.options import Adding, Bulk, Sampling, Walking
from forger.results import Drawn

Command = Callable[[Client, argparse.Namespace], int]

_MOST_TOLD = 20
_DIGEST_SHOWN = len("sha256:") + 12


def models(client: Client, _given: argparse.Namespace) -> int:
    """``forger models``."""
    for model in client.models():
        classes = "" if model.classes is None else f"  {len(model.classes)} classes: {_few(model.classes)}"
        default = " (default)" if model.is_default else ""
        shape = " × ".join(map(str, model.output_shape))
        print(f"{model.name}:{model.version}{default}  {shape}{classes}")
    return 0


def sample(client: Client, given: argparse.Namespace) -> int:
    """``forger sample``."""
    how: Sampling = {
        "model": given.model,
        "truncation": truncation_of(given.truncation),
        "class_label": class_label_of(given.class_label),
        "seed": given.seed,
        "index": given.index,
    }
    drawn = client.generate(given.n, **how)
    _save_grid(drawn, given.output)
    print(f"{given.output}: {_origin(drawn)}, seed {drawn[0].seed}")
    return 0


def arithmetic(client: Client, given: argparse.Namespace) -> int:
    """``forger arithmetic``."""
    how: Adding = {
        "model": given.model,
        "truncation": truncation_of(given.truncation),
        "jitter": given.jitter,
        "normalize": given.normalize,
        "class_label": class_label_of(given.class_label),
    }
    drawn = client.arithmetic(parse_sum(given.sum), **how)
    _save_grid(drawn, given.output)
    print(f"{given.output}: {_origin(drawn)}, the result and {len(drawn) - 1} neighbours")
    return 0


def walk(client: Client, given: argparse.Namespace) -> int:
    """``forger walk``."""
    how: Walking = {
        "model": given.model,
        "truncation": truncation_of(given.truncation),
        "steps": given.steps,
        "loop": given.loop,
        "method": given.method,
    }
    frames = client.interpolate([*map(parse_keyframe, given.keyframes)], **how)
    frames.save(given.output, fps=given.fps)
    print(f"{given.output}: {_origin(frames)}, {len(frames)} frames")
    return 0


def bulk(client: Client, given: argparse.Namespace) -> int:
    """``forger bulk``."""
    how: Bulk = {
        "model": given.model,
        "truncation": truncation_of(given.truncation),
        "seed": given.seed,
        "sink": given.sink,
        "class_label": class_label_of(given.class_label),
        "resume": given.resume,
        "allow_missing": given.allow_missing,
        "concurrency": given.concurrency,
        "progress": False if given.quiet else None,
    }
    report = client.bulk(given.n, **how)
    job = report.job
    for index, reason in list(report.failures.items())[:_MOST_TOLD]:
        print(f"image {index} cannot be drawn: {reason}", file=sys.stderr)
    if report.failures:
        way_out = (
            "it is finished without them"
            if report.is_finished
            else "--resume tries them again, --resume --allow-missing finishes without them"
        )
        print(f"{len(report.failures)} of {job.n} images cannot be drawn: {way_out}", file=sys.stderr)
        return 1
    rate = f", {report.drawn / report.seconds:.0f} a second" if report.drawn else ""
    told = f"{job.n} images of {job.model}:{job.version}, seed {job.seed}"
    print(f"{given.sink}: {told}; {report.drawn} now{rate}")
    return 0


def verified(_client: Client, given: argparse.Namespace) -> int:
    """``forger verify``."""
    found = verify(given.place)
    for fault in found.faults[:_MOST_TOLD]:
        print(fault, file=sys.stderr)
    if len(found.faults) > _MOST_TOLD:
        print(f"and {len(found.faults) - _MOST_TOLD} more", file=sys.stderr)
    state = "sound" if found.is_sound else "not sound"
    print(f"{given.place}: {found.images} of {found.job.n} images, {found.kind}: {state}")
    return 0 if found.is_sound else 1


def replay(client: Client, given: argparse.Namespace) -> int:
    """``forger replay``."""
    again = client.replay(given.image)
    if not again.is_same_model:
        print(
            f"the model has changed: it was {again.recipe['model_digest']}, and is {again.digest}",
            file=sys.stderr,
        )
    if again.is_same:
        print(f"{given.image}: the same, to the last pixel")
        return 0
    print(f"{given.image}: differs by up to {again.largest_difference} levels", file=sys.stderr)
    return 1


def standings(client: Client, _given: argparse.Namespace) -> int:
    """``forger admin models``."""
    return _told(client.admin.models())


def reload(client: Client, _given: argparse.Namespace) -> int:
    """``forger admin reload``."""
    return _told(client.admin.reload())


def to_model(command: Callable[[Admin, str], Standing]) -> Command:
    """Return ``forger admin load``, or what else an operator asks of one model."""
    return lambda client, given: _told([command(client.admin, given.reference)])


def class_label_of(text: str | None) -> int | str | Mapping[str, float] | None:
    """Return the class label that an option spells; raises ``Misuse``."""
    if text is None or "=" not in text:
        return int(text) if text is not None and text.isascii() and text.isdecimal() else text
    weights = {}
    for part in text.split(","):
        name, _, weight = part.rpartition("=")
        try:
            weights[name.strip()] = float(weight)
        except ValueError:
            raise Misuse(f"weights are like three=0.6,eight=0.4, not {text!r}") from None
    return weights


def truncation_of(text: str | None) -> tuple[str, float] | None:
    """Return the truncation that an option spells; raises ``Misuse``."""
    if text is None:
        return None
    mode, _, value = text.partition(":")
    try:
        return mode, float(value)
    except ValueError:
        raise Misuse(f"a truncation is like threshold:0.7, not {text!r}") from None


def _told(standings: Sequence[Standing]) -> int:
    """Print how versions stand, a line each, in columns; those that all leave empty are left out."""
    rows = [
        (
            f"{one.name}:{one.version}",
            one.state,
            ", ".join(word for word in ("current", "pinned") if getattr(one, word)),
            (one.digest or "")[:_DIGEST_SHOWN],
            one.reason or "",
        )
        for one in standings
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        print("  ".join(cells).rstrip())
    return 0


def _save_grid(drawn: Drawn, path: str) -> None:
    try:
        if path.lower().endswith(".npy"):
            np.save(path, drawn.array)
        elif len(drawn) == 1:
            drawn[0].save(path)
        else:
            drawn.grid().save(path)
    except ValueError as error:
        raise Misuse(f"{path}: {error}") from error


def _origin(drawn: Drawn) -> str:
    return f"{drawn.origin.model}:{drawn.origin.version}"


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
