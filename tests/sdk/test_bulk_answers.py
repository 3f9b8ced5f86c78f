"""A bulk run takes no answer for what it is not: it stops, says why, and leaves nothing that is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from forger import BadAnswer, ChangedModel, Client, Misuse, Retries
from forger.apart import run_apart
from forger.bulk import job as job_module
from forger.recipes import body_of
from tests.fakes.transport import ORIGIN, archive, fact, model_document, npy, service
from tests.sdk.places import sink_in, snapshot

NPY = {**ORIGIN, "content-type": "application/x-npy"}
ZIP = {**ORIGIN, "content-type": "application/zip"}
OTHER = "sha256:" + "1" * 64
CLASSES = ["a", "b"]


def rows(body: Mapping[str, Any], **headers: str) -> httpx.Response:
    """Answer as the service does, with an array."""
    content = npy(np.zeros((body["n"], 2, 2, 1), np.uint8))
    return httpx.Response(
        200, headers=NPY | {k.replace("_", "-"): v for k, v in headers.items()}, content=content
    )


def files(body: Mapping[str, Any], shift: int) -> httpx.Response:
    """Answer with images whose indices are others."""
    indices = range(body["index"] + shift, body["index"] + shift + body["n"])
    facts = [fact(index) for index in indices]
    return httpx.Response(
        200, headers=ZIP, content=archive(facts, {f"{index:06d}.png": b"png" for index in indices})
    )


BAD: dict[str, tuple[str, Callable[[Mapping[str, Any]], httpx.Response]]] = {
    "fewer images": ("npz", lambda body: rows({"n": body["n"] - 1}, x_class_label="a")),
    "classes of fewer": ("npz", lambda body: rows(body, x_class_indices="0,1")),
    "classes that are none": ("npz", lambda body: rows(body, x_class_indices="0,one")),
    "no classes": ("npz", rows),
    "a class that is not the model's": ("npz", lambda body: rows(body, x_class_label="c")),
    "other images": ("folder", lambda body: files(body, 1)),
    "a page": ("zip", lambda body: httpx.Response(200, html="<h1>Welcome</h1>")),
    "an error page": ("wds", lambda body: httpx.Response(500, html="<h1>Oops</h1>")),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_answer_ends_the_run_and_nothing_is_left(what: str, tmp_path: Path) -> None:
    kind, answer = BAD[what]
    transport = service(lambda request, body: answer(body), model_document(classes=CLASSES))
    with Client(transport=transport) as client, pytest.raises(BadAnswer):
        client.bulk(200, sink=sink_in(kind, tmp_path), seed=0)
    assert [name for name in snapshot(tmp_path) if name != "out/"] == []


def test_a_model_that_changes_under_a_run_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written stays, and goes on once the model is back."""
    monkeypatch.setattr(job_module, "_SEGMENT_IMAGES", 64)
    changed = True

    def answer(request: httpx.Request, body: Mapping[str, Any]) -> httpx.Response:
        is_late = changed and body["index"] >= 128
        return rows(body, **({"X_Model_Digest": OTHER} if is_late else {}))

    sink = sink_in("npz", tmp_path)
    with Client(transport=service(answer)) as client:
        with pytest.raises(ChangedModel, match="meanwhile"):
            client.bulk(300, sink=sink, seed=0)
        assert list(tmp_path.rglob("*.rows"))
        changed = False
        report = client.bulk(300, sink=sink, seed=0, resume=True)
    assert report.is_complete
    assert report.drawn < 300


def test_a_passing_fault_of_the_service_costs_no_image(tmp_path: Path) -> None:
    """A 500 is not sent again as it was; its halves are, and these go well."""
    seen: list[int] = []

    def answer(request: httpx.Request, body: Mapping[str, Any]) -> httpx.Response:
        seen.append(body["n"])
        if len(seen) == 2:
            document = {"type": "/problems/unexpected", "status": 500, "title": "A fault"}
            return httpx.Response(500, json=document, headers={"content-type": "application/problem+json"})
        return rows(body)

    with Client(transport=service(answer), retries=Retries(first_s=0)) as client:
        assert client.bulk(256, sink=sink_in("npz", tmp_path), seed=0).is_complete
    assert sorted(seen) == [32, 32, 64, 64, 64, 64]


class Interrupted(threading.Thread):
    """A thread during whose start Ctrl-C is pressed, before or after it began."""

    begins = True

    def start(self) -> None:
        if self.begins:
            super().start()
        raise KeyboardInterrupt


def in_a_cell(run: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Run it as a notebook does, whose loop runs already."""

    async def cell() -> None:
        run_apart(run)

    asyncio.run(cell())


def test_a_notebook_can_interrupt_a_run() -> None:
    """Where a loop runs already, Ctrl-C ends the run's own loop too, and in order."""
    begun, ended = threading.Event(), []

    async def run() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("in order")

    def press() -> None:
        begun.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    async def cell() -> None:
        threading.Thread(target=press).start()
        run_apart(run)

    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(cell())
    finally:
        loop.close()
    assert ended == ["in order"]


@pytest.mark.parametrize("begins", [True, False])
def test_an_interrupt_while_the_run_starts_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, *, begins: bool
) -> None:
    """It comes in `Thread.start`, a short moment but a real one: the run is over when it is raised."""
    begun, over = 0, 0

    async def run() -> None:
        nonlocal begun, over
        begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            over += 1

    monkeypatch.setattr(Interrupted, "begins", begins)
    with monkeypatch.context() as patch:
        patch.setattr("forger.apart.threading.Thread", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            in_a_cell(run)
    assert begun == over
    assert "forger-bulk" not in {thread.name for thread in threading.enumerate()}


def test_what_goes_wrong_apart_is_raised_where_it_is_waited_for() -> None:
    async def run() -> None:
        raise Misuse("no")

    with pytest.raises(Misuse, match="no"):
        in_a_cell(run)


@pytest.mark.parametrize("recipe", [{"images": []}, {"n": 300}, {"seed": None}])
def test_a_picture_of_many_that_is_no_series_cannot_be_drawn_by_one_request(recipe: dict[str, Any]) -> None:
    with pytest.raises(Misuse, match="several images"):
        body_of({"model": "m", "version": 1, "model_digest": OTHER, **recipe})


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"model_digest": OTHER})])
def test_a_recipe_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    told.add_text("forger", text)
    Image.new("L", (2, 2)).save(tmp_path / "a.png", pnginfo=told)
    with Client(transport=service(lambda request, body: rows(body))) as client, pytest.raises(Misuse):
        client.replay(tmp_path / "a.png")


def test_an_image_that_comes_back_broken_is_a_bad_answer(tmp_path: Path) -> None:
    from forger import Item, Origin

    item = Item(np.zeros((2, 2, 1), np.uint8), Origin("grey", 1, OTHER), seed=1, index=0)
    item.save(tmp_path / "a.png")
    headers = {**ORIGIN, "content-type": "image/png"}
    transport = service(lambda request, body: httpx.Response(200, headers=headers, content=b"\x89PNG"))
    with Client(transport=transport) as client, pytest.raises(BadAnswer):
        client.replay(tmp_path / "a.png")
