"""A run on a file system that is full, at one file after another: it ends, loses nothing, and goes on.

Runs in mount and user namespaces of its own (``unshare -rm``), where anyone may mount a tmpfs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.command import ROOT, Budget, Command, carry_out, to_go_on
from tests.chaos.evidence import differences, evidence
from training.checkpoint import checkpoints, load_checkpoint
from training.run import RunDirectory

_TMPFS_BYTES = 64 * 2**20
_PAGE = 4096
_SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 0.95)
"""How much of the room that the whole run takes is left, in turn."""


def why_not() -> str | None:
    """Return why no tmpfs can be mounted here, or None."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return "there is no unshare"
    tried = subprocess.run(
        [unshare, "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False
    )
    return None if tried.returncode == 0 else f"unshare -rm: {tried.stderr.strip() or 'not permitted'}"


def fill_disks(recipe: str, folder: Path, cache: Path) -> int:
    """Carry :func:`main` out in namespaces of its own; returns its exit status."""
    unshare = shutil.which("unshare")
    assert unshare is not None, "why_not was asked first"
    here = [sys.executable, "-m", "tests.chaos.disk", recipe, str(folder), str(cache)]
    return subprocess.run([unshare, "-rm", *here], cwd=ROOT, check=False).returncode


def main(recipe: str, folder: Path, cache: Path) -> int:
    """Fill a small tmpfs to each level, train into it, make room and go on; print a line for each."""
    budget, small = Budget(recipe, steps=40), folder / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_TMPFS_BYTES}", "tmpfs", str(small)]
    subprocess.run(mount, check=True)
    carry_out(budget.arguments(small / "untouched", cache))
    expected = evidence(small / "untouched")
    whole = sum(file.stat().st_blocks * 512 for file in (small / "untouched").rglob("*"))
    failures = 0
    for share in _SHARES:
        room = int(whole * share) // _PAGE * _PAGE
        faults = list(_endure(budget, small, room, expected, cache))
        failures += bool(faults)
        print(f"  {room / 1024:8,.0f} KiB left: {'; '.join(faults) or 'as it should be'}", flush=True)
    return 1 if failures else 0


def _endure(budget: Budget, small: Path, room: int, expected: dict[str, str], cache: Path) -> Iterator[str]:
    """Train with so much room left, then go on with more; yield what is wrong."""
    out, ballast = small / "run", small / "ballast"
    run = RunDirectory(out)
    _fill(ballast, shutil.disk_usage(small).free - room)
    with Command(budget.arguments(out, cache)) as command:
        status, said = command.result()
    ballast.unlink()
    errors = [line for line in said.splitlines() if "error" in line.lower()]
    print(f"    {errors[-1] if errors else 'nothing was said'}")
    if status != 1 or len(errors) != 1 or "No space left" not in errors[0] or "Traceback" in said:
        yield f"exit status {status}, said:\n{said}"
    if leftovers := [file.name for file in out.rglob("*.partial")]:
        yield f"left behind: {leftovers}"
    for checkpoint in checkpoints(run.checkpoints):
        load_checkpoint(checkpoint)
    go_on = to_go_on(out, cache) if run.config_file.is_file() else budget.arguments(out, cache)
    carry_out(go_on)
    if differing := differences(expected, evidence(out)):
        yield f"not as in the untouched run: {differing[:5]}"
    shutil.rmtree(out)


def _fill(path: Path, size: int) -> None:
    block = bytes(2**20)
    with path.open("wb") as stream:
        while size > 0:
            size -= stream.write(block[:size])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
