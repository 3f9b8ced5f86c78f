"""The log: one line an event, in JSON or text, whatever anybody sends; and nobody waits for its reader."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.logs import LineWriter, event_line
from service.logs.configuration import LineHandler
from service.logs.lines import MOST_BYTES, LineFormatter

ROOT = Path(__file__).resolve().parents[2]
FORGED = 'x\n{"time": "2026-01-01T00:00:00Z", "level": "info", "event": "forged"}\r\n\x1b[2J\x85\u2028\x00'


def record(message: object, *args: object, **extra: object) -> logging.LogRecord:
    logger = logging.getLogger("forger.test")
    return logger.makeRecord(logger.name, logging.INFO, __file__, 1, message, args, None, extra=extra)


@pytest.mark.parametrize("as_text", [False, True])
@given(text=st.text(max_size=3000), name=st.text(max_size=100))
def test_a_line_is_one_line_of_bounded_length_whatever_it_says(
    *, as_text: bool, text: str, name: str
) -> None:
    said = {"message": text + FORGED, "model": name, "n": 2**70, "seed": None, "share": float("nan")}
    line = event_line(1_790_000_000.25, "INFO", "request", said, as_text=as_text)
    assert len(line) <= MOST_BYTES
    assert line.endswith(b"\n")
    assert len(line.decode("ascii").splitlines()) == 1
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    if not as_text:
        document = json.loads(line)
        assert document["time"] == "2026-09-21T14:13:20.250Z"
        assert document["event"] == "request"
        assert "seed" not in document
        assert document["message"].startswith((text + FORGED)[:900])


@pytest.mark.parametrize("as_text", [False, True])
def test_an_error_is_one_line_with_its_trace(*, as_text: bool) -> None:
    failed = record("request %s failed", "r\n1")
    with pytest.raises(ValueError, match="client") as raised:
        _fail()
    failed.exc_info = (raised.type, raised.value, raised.tb)
    line = LineFormatter(as_text=as_text).format(failed)
    assert len(line.splitlines()) == 1
    assert len(line) < MOST_BYTES
    assert "of the client" in line or "forged" in line


def _fail() -> None:
    raise ValueError("of the client's making: " + FORGED * 300)


def test_what_looks_like_a_key_is_hidden() -> None:
    line = LineFormatter(as_text=False).format(
        record("got %s and %s", "Authorization: Bearer abcdefghijklmnop", "/x?api_key=abcdefghijklmnop&n=1")
    )
    assert "abcdefghijklmnop" not in line
    assert "n=1" in line


def test_events_have_names_and_facts() -> None:
    line = LineFormatter(as_text=False).format(record("hello", event="ready", facts={"models": 3}))
    document = json.loads(line)
    assert (document["event"], document["models"], document["message"]) == ("ready", 3, "hello")
    assert "message" in LineFormatter(as_text=True).format(record("%d", "no number"))


class Pipe:
    """A pipe, and the thread of a reader that collects what comes."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.got = b""

    def read_until(self, is_enough: Callable[[bytes], bool]) -> None:
        """Read until enough has come."""
        os.set_blocking(self.reading, False)
        patience = time.monotonic() + 30.0
        while not is_enough(self.got):
            assert time.monotonic() < patience, f"no more came than {self.got[-200:]!r}"
            try:
                self.got += os.read(self.reading, 2**20)
            except BlockingIOError:
                time.sleep(0.005)

    def lines(self) -> list[bytes]:
        return self.got.splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.reading)
    os.close(made.writing)


def test_lines_of_all_threads_arrive_whole_and_in_their_order(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, as_text=False)

    def write(thread: int) -> None:
        for number in range(300):
            writer.write(f"{thread} {number} {'x' * (number * 7 % 900)}\n")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    pipe.read_until(lambda got: got.count(b"\n") == 1200)
    for thread in threads:
        thread.join()
    assert writer.drain(10.0)
    seen = [line.split() for line in pipe.lines()]
    assert len(seen) == 1200
    for thread in range(4):
        assert [int(line[1]) for line in seen if int(line[0]) == thread] == list(range(300))


def test_a_stuck_reader_holds_nobody_up_and_losses_are_counted(pipe: Pipe) -> None:
    """More than a pipe holds, and nobody reads: noting stays quick, memory bounded, the rest is counted."""
    writer = LineWriter(pipe.writing, as_text=False, limit=100)
    begun = time.monotonic()
    for number in range(5000):
        writer.write(f"{number:0500d}\n")
        if number % 50 == 0 and number < 1000:
            time.sleep(0.05)
    assert time.monotonic() - begun < 20.0
    assert not writer.drain(0.1)
    assert writer.dropped > 0
    pipe.read_until(lambda got: b"log-lines-lost" in got)
    assert writer.drain(10.0)
    writer.write("after\n")
    pipe.read_until(lambda got: got.endswith(b"\nafter\n"))
    told = [json.loads(line)["lines"] for line in pipe.lines() if b"log-lines-lost" in line]
    whole = [line for line in pipe.lines() if line.isdigit()]
    assert sum(told) + len(whole) == 5000
    assert pipe.lines()[-1] == b"after"
    assert all(len(line) == 500 for line in whole)


def test_a_reader_that_is_gone_is_survived() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = LineWriter(writing, as_text=False)
    writer.write("nobody reads this\n")
    assert writer.drain(10.0)
    assert writer.dropped == 1
    os.close(writing)


def test_a_line_that_cannot_be_made_does_not_silence_the_others(pipe: Pipe) -> None:
    def fail(_value: object) -> bytes:
        raise KeyError("no such fact")

    writer = LineWriter(pipe.writing, as_text=False)
    writer.note(fail, None)
    writer.write("after\n")
    pipe.read_until(lambda got: got.endswith(b"after\n"))
    assert json.loads(pipe.lines()[0])["event"] == "log-fault"
    assert pipe.lines()[1] == b"after"


class Unspeakable(Exception):
    """Nobody can say what it is, itself included."""

    def __str__(self) -> str:
        raise self


@pytest.mark.parametrize(
    "unspeakable", [record(Unspeakable()), record("so many", facts={"digits": 10**5000})]
)
def test_whoever_logs_what_cannot_be_spelled_goes_on_and_so_does_the_log(
    pipe: Pipe, unspeakable: logging.LogRecord
) -> None:
    handler = LineHandler(LineWriter(pipe.writing, as_text=False))
    for one in (unspeakable, record("after")):
        handler.handle(one)
    pipe.read_until(lambda got: got.count(b"\n") == 2)
    fault, after = [json.loads(line) for line in pipe.lines()]
    assert fault["event"] == "log-fault"
    assert after["message"] == "after"


PROCESS = """
import logging, os, sys, warnings
logging.getLogger("bentoml").addHandler(logging.StreamHandler(sys.stdout))
from service.logs import configure_logging
from service.settings import load_settings
settings = load_settings({"FORGER_LOG_FORMAT": sys.argv[1]})
configure_logging(settings)
configure_logging(settings)
logging.getLogger("bentoml.serve").info("from bentoml")
logging.getLogger("uvicorn.error").warning("from uvicorn")
logging.getLogger("circus").warning("from circus")
logging.getLogger("anybody").warning("from anybody\\nelse")
logging.getLogger("uvicorn.access").info("GET /?key=secret")
warnings.warn("a warning")
if os.fork() == 0:
    logging.getLogger("forger").info("from a child")
    sys.exit()
os.wait()
logging.getLogger("forger").info("the last word")
"""


@pytest.mark.parametrize("how", ["json", "text"])
def test_everybody_logs_in_one_form_and_the_last_word_is_written(how: str) -> None:
    """Configured twice, all the same each line comes once; so it does from a forked child."""
    ended = subprocess.run(
        [sys.executable, "-c", PROCESS, how], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    sentences = ["bentoml", "uvicorn", "circus", "anybody", "a warning", "a child", "the last word"]
    assert len(lines) == len(sentences)
    for sentence in sentences:
        assert sum(sentence in line for line in lines) == 1
    assert "secret" not in ended.stderr
    if how == "json":
        assert all(json.loads(line)["time"].endswith("Z") for line in lines)


def test_a_long_message_is_looked_through_in_no_time() -> None:
    """Whoever can make a fault say much cannot make the log compute for long."""
    begun = time.process_time()
    for text in ("a-" * 500_000, "key" * 300_000, "bearer " * 100_000):
        LineFormatter(as_text=False).format(record(text))
    assert time.process_time() - begun < 5.0
