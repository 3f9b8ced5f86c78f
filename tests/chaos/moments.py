"""When a run is killed, and what is done to it while it lies dead."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.command import Budget, Command, to_go_on
from training.checkpoint import checkpoints
from training.run import RunDirectory


@dataclass
class Victim:
    """A run that is killed again and again: the one who goes on with it is never told why it ended."""

    budget: Budget
    path: Path
    cache: Path
    chance: random.Random
    start_s: float
    """About how long a session takes to its first step: imports, data, a checkpoint written or read."""
    deaths: list[str] = field(default_factory=list)

    @property
    def run(self) -> RunDirectory:
        """The run's directory."""
        return RunDirectory(self.path)

    def arguments(self) -> list[str]:
        """Return what a person would type now: begin, or go on with what is there."""
        if self.run.config_file.is_file():
            return to_go_on(self.path, self.cache)
        return self.budget.arguments(self.path, self.cache)

    def suffer(self, moment: str) -> None:
        """Train until the moment, and be killed by SIGKILL."""
        with Command(self.arguments()) as command:
            MOMENTS[moment](self, command)
            command.send(signal.SIGKILL)
            status, said = command.result()
        assert status in (0, -signal.SIGKILL), f"killed at {moment}, it had ended already:\n{said}"
        assert "Traceback" not in said, said
        self.deaths.append(f"{moment}{'' if status else ' (too late)'}")


def _during_start(victim: Victim, command: Command) -> None:
    """Kill it while it imports, reads its data, makes its directory or takes up its checkpoint."""
    moment = time.monotonic() + victim.chance.uniform(0, victim.start_s)
    command.wait_until(lambda: time.monotonic() >= moment)


def _at_a_step(victim: Victim, command: Command) -> None:
    """Kill it once it has reported a few times more, and then somewhere in or between the next steps."""
    seen = len(_lines(victim.run))
    wanted = seen + victim.chance.randint(1, 6)
    command.wait_until(lambda: len(_lines(victim.run)) >= wanted)
    time.sleep(victim.chance.uniform(0, 0.05))


def _while_saving(victim: Victim, command: Command) -> None:
    """Kill it while a checkpoint is half written."""
    folder, wanted, seen = victim.run.checkpoints, victim.chance.randint(1, 4), set[str]()

    def is_at_it() -> bool:
        seen.update(path.name for path in folder.glob("*.partial"))
        return len(seen) >= wanted

    command.wait_until(is_at_it)


def _lines(run: RunDirectory) -> list[bytes]:
    return run.metrics_file.read_bytes().splitlines() if run.metrics_file.is_file() else []


MOMENTS: dict[str, Callable[[Victim, Command], None]] = {
    "start": _during_start,
    "step": _at_a_step,
    "save": _while_saving,
}


def damage_newest(victim: Victim) -> str | None:
    """Cut, empty or change the newest checkpoint; returns its name, or None if it is the only one."""
    found = checkpoints(victim.run.checkpoints)
    if len(found) < 2:
        return None
    content = bytearray(found[-1].read_bytes())
    how = victim.chance.choice(["cut", "emptied", "changed"])
    if how == "cut":
        del content[victim.chance.randrange(1, len(content)) :]
    elif how == "emptied":
        content.clear()
    else:
        content[victim.chance.randrange(len(content))] ^= 1 << victim.chance.randrange(8)
    found[-1].write_bytes(content)
    victim.deaths.append(how)
    return found[-1].name
