"""What a run does about its doctor: it is looked at, its best state is kept, and failures are acted on."""

from __future__ import annotations

from training.config import RunConfig
from training.distributed import Processes
from training.doctor import Doctor, Failure, Finding, non_finite
from training.errors import Diverged, Failing
from training.monitor import Monitor
from training.run import RunDirectory
from training.saves import Saves
from training.state import State


class Care:
    """Has the doctor look at a run, and warns, stops or goes back as the run is told to."""

    def __init__(
        self,
        config: RunConfig,
        run: RunDirectory,
        state: State,
        doctor: Doctor,
        saves: Saves,
        processes: Processes,
    ) -> None:
        self._config, self._run, self._state = config, run, state
        self._doctor, self._saves, self._processes = doctor, saves, processes

    def look(self, monitor: Monitor) -> None:
        """Let the doctor look; keep the state if it is the best so far, and act on what was found.

        Raises ``Failing`` if the run is to end for it. Every process looks, as batch norm takes them all, and
        heeds what the first one saw: rounding must not have one go on where another stops.
        """
        check = self._processes.of_first(self._doctor.check(self._state))
        numbers, facts = check.signals.numbers(), check.document()
        monitor.record_check(self._state.images_seen, numbers, steps=self._state.steps, **facts)
        if check.is_best:
            self._saves.save_best()
        if check.new:
            self._act(check.new, monitor)

    def note_divergence(self, error: Diverged, monitor: Monitor) -> None:
        """Write down that the run's numbers are none, and act on it."""
        finding = non_finite(self._config.recipe, str(error))
        document = finding.document()
        monitor.record_check(self._state.images_seen, {}, findings=[document], new=[document["failure"]])
        self._act([finding], monitor)

    def _act(self, findings: list[Finding], monitor: Monitor) -> None:
        """Say what was found; end the run if it is to end for it."""
        now, policy = self._state.images_seen, self._config.on_failure
        for finding in findings:
            monitor.say(f"the doctor, after {now:,} images: {finding.text()}")
        if policy == "warn":
            return
        names = ", ".join(finding.failure.value for finding in findings)
        diverged = any(finding.failure is Failure.NON_FINITE for finding in findings)
        outcome = self._roll_back(monitor) if policy == "rollback" else self._stop(monitor, save=not diverged)
        monitor.animate()
        raise Failing(f"{names} after {now:,} images; {outcome}")

    def _stop(self, monitor: Monitor, *, save: bool) -> str:
        if save:
            monitor.sync()
            self._saves.save()
        return f"{self._run.path} was stopped, and --resume goes on"

    def _roll_back(self, monitor: Monitor) -> str:
        """Make the best state the newest checkpoint, take it up, and say so."""
        failed_at, path = self._state.images_seen, self._run.path
        if not self._saves.go_back_to_best():
            return f"{path} has no best state yet to go back to"
        monitor.record_check(failed_at, {}, rolled_back_to=self._state.images_seen)
        return f"{path} went back to its best averaged weights, those after {self._state.images_seen:,}"
