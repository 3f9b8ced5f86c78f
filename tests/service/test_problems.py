"""Every entry of the table of problems, brought about as clients and operators bring it about."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.access.entries import KeyEntry
from service.access.rates import Rate
from service.access.scopes import Scope
from service.access.tokens import hash_of
from service.errors import UnusableModel
from service.http.drawing import DrawingEndpoints
from service.http.problems import BY_SLUG, Problem
from tests.fakes.keys import OPERATOR, bearer, operators_file
from tests.fakes.models import NAN_AT
from tests.fakes.site import LocalService, local_service

KEY = "a-key-of-this-test"
SCRAPER = "forger_scraper_for-metrics-alone"
SLOW = "forger_slow_once-an-hour"
STALE = "sha256:" + "0" * 64


@pytest.fixture
def site(models_dir: Path, tmp_path: Path) -> Iterator[LocalService]:
    """A service of the test's own, small and locked."""
    limits = {"max_images": 4, "queue_rows": 4, "max_body_bytes": 2000}
    keys = {"api_keys": KEY, "keys_file": tmp_path / "keys.jsonl"}
    scraper = KeyEntry(id="scraper", hash=hash_of(SCRAPER), scopes=(Scope.METRICS,))
    slow = KeyEntry(id="slow", hash=hash_of(SLOW), scopes=(Scope.GENERATE,), requests=Rate(1, 3600))
    operators_file(tmp_path)
    with keys["keys_file"].open("a") as file:
        file.write(f"{scraper.line()}\n{slow.line()}\n")
    with local_service(models_dir, default_model="grey", **keys, **limits) as running:
        yield running


class Client:
    """A client with a key, and an operator's hand in the service."""

    def __init__(self, service: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
        self.service = service
        self.patch = monkeypatch

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.service.get(path, headers={"authorization": f"Bearer {KEY}", **headers})

    def post(self, content: bytes = b"{}", **headers: str) -> httpx.Response:
        named = {"authorization": f"Bearer {KEY}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.service.request("POST", "/generate", content=content, headers=named)

    def with_key(self, key: str) -> httpx.Response:
        return self.service.get("/models", headers={"authorization": f"Bearer {key}"})

    def too_often(self) -> httpx.Response:
        assert self.with_key(SLOW).status_code == 200
        return self.with_key(SLOW)

    def full_queue(self) -> httpx.Response:
        self.patch.setattr(self.service.runtime.repository.resolve("grey").backend, "queue_limit", 0)
        return self.post()

    def late(self) -> httpx.Response:
        session = self.service.runtime.repository.resolve("grey").backend._session
        gate, inner = threading.Event(), session.draw

        def draw(*args: Any, **how: bool) -> Any:
            assert gate.wait(60)
            return inner(*args, **how)

        self.patch.setattr(session, "draw", draw)
        self.patch.setattr(session, "is_quick", False)  # a held run must not hold the event loop
        try:
            return self.post(x_timeout_ms="20")
        finally:
            gate.set()

    def command(self, path: str) -> httpx.Response:
        return self.service.request("POST", f"/admin/models/{path}", headers=bearer(OPERATOR))

    def unsound(self) -> httpx.Response:
        def load(_: object) -> None:
            raise UnusableModel("generator.onnx has not the digest that the manifest states")

        assert self.command("colour:1/unload").status_code == 200
        self.patch.setattr(self.service.runtime._keeper, "_load", load)
        return self.command("colour:1/load")

    def draining(self) -> httpx.Response:
        self.service.runtime.door.close()
        return self.post()

    def broken(self) -> httpx.Response:
        async def explode(*_: object) -> None:
            raise RuntimeError("a secret at /etc/path")

        self.patch.setattr(DrawingEndpoints, "_carry_out", explode)
        return self.post()


PROVOKED: dict[str, Callable[[Client], httpx.Response]] = {
    "malformed-json": lambda client: client.post(b"{"),
    "unauthorized": lambda client: client.service.get("/models"),
    "forbidden": lambda client: client.with_key(SCRAPER),
    "rate-limited": Client.too_often,
    "unknown-model": lambda client: client.get("/models/none"),
    "unknown-route": lambda client: client.get("/nowhere"),
    "method-not-allowed": lambda client: client.get("/generate"),
    "not-acceptable": lambda client: client.post(accept="audio/ogg"),
    "model-conflict": lambda client: client.command("grey/rollback"),
    "unusable-model": Client.unsound,
    "stale-digest": lambda client: client.get(f"/images/grey/1/2.png?digest={STALE}"),
    "body-too-large": lambda client: client.post(b" " * 2001),
    "unsupported-media-type": lambda client: client.post(content_type="image/png"),
    "invalid-input": lambda client: client.post(b'{"n": 5}'),
    "queue-full": Client.full_queue,
    "model-output": lambda client: client.post(
        b'{"model": "fragile", "latents": [{"z": [%d, 0, 0, 0]}]}' % NAN_AT
    ),
    "unavailable": Client.draining,
    "deadline-exceeded": Client.late,
    "unexpected": Client.broken,
}
NOBODY_SEES = {"client-left"}
"""Problems whose client is gone; tests of departures look for them in the metrics."""
AT_THE_DOOR = {"malformed-request", "request-timeout", "head-too-large"}
"""Problems of connections; test_protocol meets them."""


def test_the_walk_leaves_no_entry_out() -> None:
    assert PROVOKED.keys() | NOBODY_SEES | AT_THE_DOOR == BY_SLUG.keys()
    assert len({(entry.slug, entry.title) for entry in BY_SLUG.values()}) == len(BY_SLUG)


@pytest.mark.parametrize("slug", PROVOKED)
def test_each_problem_is_told_as_the_table_says(
    site: LocalService, monkeypatch: pytest.MonkeyPatch, slug: str
) -> None:
    """RFC 9457: a document of its media type, with its type, and nothing of the inside."""
    entry: Problem = BY_SLUG[slug]
    response = PROVOKED[slug](Client(site, monkeypatch))
    assert response.status_code == entry.status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    document = response.json()
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= document.keys()
    assert (document["type"], document["title"]) == (f"/problems/{slug}", entry.title)
    assert (document["status"], document["instance"]) == (entry.status, response.request.url.path)
    assert document["request_id"] == response.headers["x-request-id"]
    assert len(document["detail"]) > 10
    assert ("errors" in document) == (slug == "invalid-input")
    assert ("allow" in response.headers) == (entry.status == 405)
    assert ("www-authenticate" in response.headers) == (entry.status in {401, 403})
    assert ("retry-after" in response.headers) == (entry.status in {429, 503})
    for inside in ("Traceback", ".py", "secret", KEY, SCRAPER, SLOW, str(site.runtime.settings.models_dir)):
        assert inside not in response.text
    assert f'forger_rejections_total{{reason="{slug}"}} 1.0' in Client(site, monkeypatch).get("/metrics").text
