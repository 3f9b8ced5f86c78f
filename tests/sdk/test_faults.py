"""Between client and server a proxy does harm to half of all requests: nothing is lost, nothing differs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from forger import NEVER, AsyncClient, Client, ConnectionFailed, L, Retries
from forger.bulk import job as job_module
from tests.fakes.models import write_models
from tests.fakes.proxy import HarmfulProxy
from tests.fakes.server import ServerProcess
from tests.sdk.places import SINKS, sink_in, snapshot

HARMS = (
    "reset", "reset-after", "truncate", "delay", "429", "503", "429-bare", "503-bare", "502-page",
)  # fmt: skip
EAGER = Retries(attempts=60, first_s=0.001, longest_s=0.01)


@pytest.fixture
def proxy(server: Any) -> Iterator[HarmfulProxy]:
    """A proxy that harms half of all requests, in every way."""
    with HarmfulProxy(server.port, dict.fromkeys(HARMS, 0.5 / len(HARMS)), seed=1) as proxy:
        yield proxy


@pytest.mark.parametrize("harm", HARMS)
def test_each_harm_alone_is_got_over(harm: str, server: Any, client: Client) -> None:
    expected = client.generate(3, seed=1)
    with HarmfulProxy(server.port, {harm: 0.6}, seed=2) as proxy, Client(proxy.url, retries=EAGER) as harmed:
        for _ in range(8):
            assert (harmed.generate(3, seed=1).array == expected.array).all()
        assert proxy.harms[harm] > 0


def test_whatever_is_drawn_is_what_would_have_been_drawn(client: Client, proxy: HarmfulProxy) -> None:
    calls = [
        lambda one: one.generate(150, seed=9, class_label="balanced").array,
        lambda one: one.generate(latents=L(3, [4, 5])).array,
        lambda one: one.generate(9, model="vector", seed=2).array,
        lambda one: one.arithmetic(L(1, [0, 1]) - L(2) + L(3), class_label="one", jitter=8).array,
        lambda one: one.interpolate([L(1), L(2), L(3)], steps=9, loop=True).array,
    ]
    with Client(proxy.url, retries=EAGER) as harmed:
        for _ in range(4):
            for call in calls:
                assert (call(harmed) == call(client)).all()
    assert len(proxy.harms) == len(HARMS) + 1


def test_many_at_once_get_what_each_asked_for(client: Client, proxy: HarmfulProxy) -> None:
    async def draw() -> list[Any]:
        async with AsyncClient(proxy.url, retries=EAGER) as harmed:
            return await asyncio.gather(*(harmed.generate(2, seed=seed) for seed in range(80)))

    for seed, items in enumerate(asyncio.run(draw())):
        assert (items.array == client.generate(2, seed=seed).array).all()
    assert sum(proxy.harms.values()) - proxy.harms["none"] > 40


@pytest.mark.parametrize("kind", SINKS)
def test_a_bulk_run_loses_nothing(
    kind: str, client: Client, proxy: HarmfulProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "_SEGMENT_IMAGES", 64)
    monkeypatch.setattr(job_module, "_CHUNK", 8)
    n, how = 400, {"seed": 3, "class_label": "random"}
    client.bulk(n, sink=sink_in(kind, tmp_path / "straight"), **how)
    with Client(proxy.url, retries=EAGER) as harmed:
        report = harmed.bulk(n, sink=sink_in(kind, tmp_path / "harmed"), **how)
    assert report.is_complete
    assert sum(proxy.harms.values()) - proxy.harms["none"] > 15
    assert snapshot(tmp_path / "harmed") == snapshot(tmp_path / "straight")


def test_without_retries_a_harm_is_told(server: Any) -> None:
    for harm in ("reset", "reset-after", "truncate"):
        with HarmfulProxy(server.port, {harm: 1.0}) as proxy:
            harmed = Client(proxy.url, retries=NEVER)
            with harmed, pytest.raises(ConnectionFailed):
                harmed.models()


def test_a_server_that_is_gone_for_good_is_told_in_the_end(server: Any) -> None:
    with HarmfulProxy(server.port, {"reset": 1.0}) as proxy:
        retries = Retries(attempts=5, first_s=0.001)
        with Client(proxy.url, retries=retries) as harmed, pytest.raises(ConnectionFailed, match="5 times"):
            harmed.generate(1)
        assert proxy.harms["reset"] == 5


def test_a_stream_that_is_cut_is_not_taken_for_whole(server: Any) -> None:
    """Its length is not told in advance, so that only its last event says that all is there."""
    import httpx

    def cut(request: httpx.Request) -> httpx.Response:
        with httpx.Client() as plain:
            answer = plain.send(
                httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
            )
        whole = len(answer.content)
        kept = answer.content[: whole * 2 // 3 if request.method == "POST" else whole]
        return httpx.Response(answer.status_code, headers=answer.headers, content=kept)

    came = []
    with Client(server.url, transport=httpx.MockTransport(cut)) as client, pytest.raises(ConnectionFailed):
        came.extend(client.stream(30, seed=1))
    # What came before is yielded one by one; extend keeps what it was given.
    assert 0 < len(came) < 30


@pytest.mark.slow
def test_a_worker_that_is_killed_under_a_bulk_run_costs_nothing(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its supervisor starts another; what was under way is asked for again."""
    monkeypatch.setattr(job_module, "_SEGMENT_IMAGES", 64)
    models = write_models(tmp_path / "models")
    how = {"seed": 3, "class_label": "random"}
    client.bulk(1500, sink=sink_in("wds", tmp_path / "straight"), **how)
    with ServerProcess(tmp_path / "home", models_dir=models, default_model="grey", threads=2) as fragile:
        kills = []

        def kill() -> None:
            patience = time.monotonic() + 60
            while not list((tmp_path / "harmed").rglob("*.tar")) and time.monotonic() < patience:
                time.sleep(0.002)
            for worker in psutil.Process(fragile.process.pid).children():
                worker.kill()
                kills.append(worker.pid)

        killer = threading.Thread(target=kill)
        killer.start()
        with Client(fragile.url) as harmed:
            assert harmed.bulk(1500, sink=sink_in("wds", tmp_path / "harmed"), **how).is_complete
        killer.join()
    assert kills
    assert snapshot(tmp_path / "harmed") == snapshot(tmp_path / "straight")
