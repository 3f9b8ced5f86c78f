"""A run ends when it is asked to: saved, and with a word on how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from training.interrupts import Interrupts, at_once


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_wish_is_noted_and_not_forced(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        assert not interrupts.wanted
        signal.raise_signal(number)
        assert interrupts.wanted
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_the_third_wish_is_granted_at_once() -> None:
    with Interrupts():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupts.wanted
    finally:
        signal.signal(signal.SIGHUP, before)


def test_output_to_a_terminal_that_is_gone_fails_nothing() -> None:
    """Writing to a terminal whose window is closed is an error; after a hang-up it goes nowhere instead."""
    master, slave = os.openpty()
    kept = os.dup(1)
    os.dup2(slave, 1)
    try:
        with Interrupts() as interrupts:
            os.close(master)
            with pytest.raises(OSError, match="Input/output"):
                os.write(1, b"lost")
            signal.raise_signal(signal.SIGHUP)
            assert interrupts.wanted
            assert os.write(1, b"nowhere") == 7
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(slave)


def test_where_nothing_is_to_be_tidied_up_an_interrupt_ends_without_a_word() -> None:
    program = "import signal\nfrom training.interrupts import at_once\nwith at_once(): signal.raise_signal(2)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")


def test_afterwards_an_interrupt_is_what_it_was() -> None:
    with at_once():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
