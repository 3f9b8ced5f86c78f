"""The child of the campaign against loading: loads mutated directories, and says a line of each.

``python -m tests.chaos.loads SEED FIRST STEP LAST MIBYTES`` loads every STEP-th file from FIRST to LAST
of the seed, in MIBYTES of address space. A line is a JSON object: number, what came of it, seconds.
"""

from __future__ import annotations

import json
import logging
import os
import random
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

from contract.layout import ModelDirectory
from service.engine import Engine
from service.errors import UnusableModel
from service.models.loading import load_model
from service.models.prover import Prover
from service.settings import Settings
from tests.chaos.mutations import Files, mutate
from tests.fakes.models import COLOUR, CONDITIONAL, VECTOR, write_model
from tests.fakes.zoo import KINDS, write_kind

ROOT = Path(__file__).resolve().parents[2]
_MIBYTE = 2**20


def subjects(folder: Path) -> list[tuple[str, int, Files]]:
    """Return the sound directories that all others are made of: name, version, files."""
    written = [write_model(folder, fake) for fake in (CONDITIONAL, COLOUR, VECTOR)]
    written += [write_kind(folder, kind) for kind in KINDS]
    written += [ModelDirectory(ROOT / "models", name, 1) for name in ("digits", "gaussian")]
    return [
        (one.name, one.version, {path.name: path.read_bytes() for path in one.path.iterdir()})
        for one in written
    ]


def mutated(known: list[tuple[str, int, Files]], seed: int, number: int) -> tuple[str, int, Files, str]:
    """Return file ``number`` of a seed: the same whoever asks."""
    chance = random.Random(f"{seed} {number}")
    name, version, files = chance.choice(known)
    changed, how = mutate(files, chance)
    return name, version, changed, how


def write(root: Path, name: str, version: int, files: Files) -> ModelDirectory:
    """Write a directory, over what was there."""
    directory = ModelDirectory(root, name, version)
    directory.path.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (directory.path / file).write_bytes(content)
    return directory


def main() -> None:
    """Load one after the other, as the service does: each in a process of its own first."""
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not be taken for this process
    seed, first, step, last, mibytes = map(int, sys.argv[1:])
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    engine = Engine("cpu", threads=1)
    with tempfile.TemporaryDirectory(prefix="forger-loads-") as folder:
        known = subjects(Path(folder) / "sound")
        resource.setrlimit(resource.RLIMIT_AS, (mibytes * _MIBYTE, mibytes * _MIBYTE))
        root = Path(folder) / "models"
        settings = Settings(models_dir=folder, max_batch=4, threads=1)
        prover = Prover(settings, engine.device, None)
        for number in range(first, last, step):
            name, version, files, how = mutated(known, seed, number)
            directory = write(root, name, version, files)
            begun = time.monotonic()
            outcome = _outcome(directory, settings, engine, prover)
            seconds = round(time.monotonic() - begun, 3)
            line = {"number": number, "how": how, "outcome": outcome, "seconds": seconds}
            said.write(json.dumps(line) + "\n")
            said.flush()
        prover.rest()


def _outcome(directory: ModelDirectory, settings: Settings, engine: Engine, prover: Prover) -> str:
    try:
        load_model(directory, settings, engine, lambda *_: None, prover.prove)
    except UnusableModel as error:
        ended = "process that tried" in str(error) or "took longer" in str(error)
        return f"{'ended the trial' if ended else 'refused'}: {error}"[:300]
    except BaseException as error:  # noqa: BLE001 - a finding, whatever it is
        return f"FAULT: {error!r}"[:300]
    return "loaded"


if __name__ == "__main__":
    main()
