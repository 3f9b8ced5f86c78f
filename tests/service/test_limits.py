"""Limits of each key: what is let through, what is charged, and what a client is told of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.keys import bearer, new_key, stopped
from tests.fakes.reader import Reader
from tests.fakes.site import LocalService, local_service

WALK = {"keyframes": [{"latent": {"seed": 1}}, {"latent": {"seed": 2}}], "steps": 4}
CANCELLED = {
    "terms": [{"weight": 1, "of": [{"seed": 1}]}, {"weight": -1, "of": [{"seed": 1}]}],
    "class_label": 3,
}

Start = Callable[..., "Client"]


class Client:
    """A client with one key, of a service of its own."""

    def __init__(self, site: LocalService, key: str) -> None:
        self.site = site
        self.headers = bearer(key)

    def post(self, body: object = None, path: str = "/generate", **headers: str) -> httpx.Response:
        return self.site.post(path, body, **headers, **self.headers)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.site.get(path, headers={**headers, **self.headers})

    def left(self) -> dict[str, int]:
        """Return what is left of each limit; to ask takes one request."""
        found = re.findall(r'"(\w+)";r=(\d+)', self.get("/models").headers["ratelimit"])
        return {name: int(count) for name, count in found}


@pytest.fixture
def start(models_dir: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a service with one key, whose limits are given."""
    opened = []

    def begin(settings: dict[str, object] | None = None, **limits: str) -> Client:
        file = tmp_path / "keys.jsonl"
        key = new_key(file, "alice", "generate", **limits)
        service = local_service(models_dir, default_model="grey", keys_file=file, **(settings or {}))
        opened.append(service)
        return Client(stopped(service.__enter__()), key)

    yield begin
    for service in opened:
        service.__exit__(None, None, None)


def test_requests_over_the_limit_are_429_with_the_time_to_wait(start: Start) -> None:
    client = start(requests="2/day")
    first, second, third = (client.post({"seed": 1}) for _ in range(3))
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert third.json()["type"] == "/problems/rate-limited"
    assert third.headers["retry-after"] == "43200"
    assert (
        third.json()["detail"] == "The limit of this key is 2/day (requests); 1 more is possible in 43200 s."
    )
    assert {answer.headers["ratelimit-policy"] for answer in (first, second, third)} == {
        '"requests";q=2;w=86400'
    }
    told = [answer.headers["ratelimit"] for answer in (first, second, third)]
    assert told == ['"requests";r=1;t=43200', '"requests";r=0;t=43200', '"requests";r=0;t=43200']
    assert first.json()["data"] == second.json()["data"]


def test_the_limit_is_met_before_the_body_is_read_and_whatever_it_is(start: Start) -> None:
    """A refused request counts as one, and reading is never begun for one too many."""
    client, read = start(requests="3/day"), []

    async def body() -> Any:
        read.append(1)
        yield b"{}"

    assert client.post({"n": 0}).status_code == 422
    assert client.get("/models/none").status_code == 404
    assert client.get("/models").status_code == 200
    answer = client.site.request("POST", "/generate", content=body(), headers=client.headers)
    assert (answer.status_code, read) == (429, [])


def test_open_routes_are_not_counted_and_tell_no_limits(start: Start) -> None:
    client = start(requests="1/day")
    for path in ("/livez", "/", "/openapi.json", "/problems/rate-limited"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers
    assert client.left() == {"requests": 0}


def test_limits_for_everybody_are_a_setting_and_a_key_may_have_its_own(
    models_dir: Path, tmp_path: Path
) -> None:
    file = tmp_path / "keys.jsonl"
    keys = {
        "plain": new_key(file, "plain", "generate"),
        "own": new_key(file, "own", "generate", requests="5/hour"),
        "free": new_key(file, "free", "generate", requests="unlimited", images="unlimited"),
        "env": "a-key-of-the-environment",
    }
    settings = {"key_requests": "3/day", "key_images": "100/minute", "api_keys": keys["env"]}
    with local_service(models_dir, keys_file=file, **settings) as site:
        policies = {
            name: site.get("/models", headers=bearer(key)).headers.get("ratelimit-policy")
            for name, key in keys.items()
        }
    everyone = '"requests";q=3;w=86400, "images";q=100;w=60'
    assert policies == {
        "plain": everyone,
        "own": '"requests";q=5;w=3600, "images";q=100;w=60',
        "free": None,
        "env": everyone,
    }


@pytest.mark.parametrize(
    ("path", "body", "images"),
    [
        ("/generate", {"n": 5, "seed": 1}, 5),
        ("/generate", {"n": 5, "seed": 1, "layout": "grid"}, 5),
        ("/generate", {"latents": [{"seed": 1}, {"seed": 2}]}, 2),
        ("/generate", {"model": "vector", "n": 50}, 50),
        ("/interpolate", WALK, 4),
        (
            "/arithmetic",
            {"terms": [{"weight": 1, "of": [{"seed": 1}]}], "class_label": 3, "jitter": {"n": 3}},
            4,
        ),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_every_image_that_is_drawn_is_charged(
    start: Start, path: str, body: dict[str, Any], images: int, accept: str
) -> None:
    client = start(images="100/day")
    answer = client.post(body, path, accept=accept)
    assert answer.status_code == 200
    assert answer.headers["ratelimit"].startswith(f'"images";r={100 - images};t=')
    assert client.left() == {"images": 100 - images}


def test_links_are_charged_when_they_are_drawn(start: Start) -> None:
    client = start(images="3/day")
    image = client.get("/images/grey/1/2.png")
    assert client.left() == {"images": 2}
    known = client.get("/images/grey/1/2.png", **{"if-none-match": image.headers["etag"]})
    assert (known.status_code, client.left()) == (304, {"images": 2})
    assert client.get("/images/grey/1/2.png?class=none").status_code == 422
    assert client.left() == {"images": 2}


def test_images_over_the_limit_are_429_and_fewer_may_still_pass(start: Start) -> None:
    client = start(images="10/day")
    assert client.post({"n": 8}).status_code == 200
    refused = client.post({"n": 3})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "8640")
    assert refused.json()["detail"].startswith(
        "The limit of this key is 10/day (images); 3 more are possible"
    )
    assert client.post({"n": 2}).status_code == 200
    assert client.left() == {"images": 0}


def test_what_can_never_pass_is_422_and_tells_no_time_to_wait(start: Start) -> None:
    """A client that honours Retry-After must not come back for ever."""
    client = start(images="10/day")
    for body, path in (({"n": 11}, "/generate"), ({**WALK, "steps": 12}, "/interpolate")):
        refused = client.post(body, path)
        assert refused.status_code == 422
        assert "retry-after" not in refused.headers
        (fault,) = refused.json()["errors"]
        assert fault["pointer"] == "#"
        assert fault["detail"].endswith(
            "than the limit of this key, 10/day, lets through; ask for 10 at most"
        )
    sheet = client.get("/models/grey/preview.png")
    assert (sheet.status_code, sheet.json()["errors"][0]["parameter"]) == (422, "name")
    assert client.left() == {"images": 10}


def test_an_order_that_is_refused_is_not_charged(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client = start(images="100/day")
    queue = client.site.runtime.repository.resolve("grey").backend
    with monkeypatch.context() as full:
        full.setattr(queue, "queue_limit", 0)
        for accept in ("application/json", "text/event-stream"):
            refused = client.post({"n": 7}, accept=accept)
            assert refused.json()["type"] == "/problems/queue-full"
    assert client.post({"n": 7, "class_label": "none"}).status_code == 422
    assert client.post({"n": 7}, accept="text/csv").status_code == 406
    assert client.post(CANCELLED, "/arithmetic").status_code == 422
    left = client.left()
    client.site.run(client.site.runtime._batcher.drain())
    assert client.post({"n": 7}).status_code == 503
    assert left == client.left() == {"images": 100}


def test_an_order_that_was_taken_is_charged_whatever_becomes_of_it(start: Start) -> None:
    client = start(images="100/day")
    poisoned = {"model": "fragile", "latents": [{"seed": 1}, {"z": [1234.0, 0, 0, 0]}]}
    assert client.post({**poisoned, "latents": poisoned["latents"][1:]}).status_code == 500
    assert client.left() == {"images": 99}


def test_a_page_of_another_origin_may_read_what_is_left(start: Start) -> None:
    client = start({"cors_origins": "https://a.example"}, requests="9/day")
    answer = client.get("/models", origin="https://a.example")
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(exposed)


def test_every_answer_to_a_limited_key_is_as_the_document_says(start: Start) -> None:
    client = start(requests="6/day", images="20/day")
    reader = Reader.of(client.site)
    image = "/images/{model}/{seed}/{index}.png"
    answers = [
        ("/generate", "post", client.post({}), 200),
        ("/generate", "post", client.post({"n": 21}), 422),
        ("/interpolate", "post", client.post(WALK, "/interpolate", accept="text/event-stream"), 200),
        ("/models", "get", client.get("/models"), 200),
        (image, "get", client.get("/images/grey/1/2.png", **{"if-none-match": "*"}), 304),
        (image, "get", client.get("/images/grey/1/2.png"), 200),
        ("/generate", "post", client.post({}), 429),
        ("/models/{name}", "get", client.get("/models/grey"), 429),
        ("/metrics", "get", client.get("/metrics"), 403),
    ]
    for path, method, answer, status in answers:
        assert (answer.status_code, reader.refused(path, method, answer)) == (status, []), path
    assert all("ratelimit" in answer.headers for *_, answer, status in answers if status != 403)


def test_a_neighbour_of_a_key_that_is_abused_gets_all_it_asks_for(models_dir: Path, tmp_path: Path) -> None:
    """The one is refused by the hundred, the other never, and has the right images."""
    file = tmp_path / "keys.jsonl"
    abuser = bearer(new_key(file, "abuser", "generate", requests="5/day"))
    neighbour = bearer(new_key(file, "neighbour", "generate", requests="1000/day", images="1000/day"))
    with local_service(models_dir, default_model="grey", keys_file=file) as site:
        stopped(site)

        def post(seed: int, headers: dict[str, str]) -> Any:
            return site._request(
                "POST", "/generate", {"json": {"seed": seed, "class_label": 3}, "headers": headers}
            )

        async def both() -> tuple[list[httpx.Response], list[httpx.Response]]:
            flood = asyncio.gather(*(post(1, abuser) for _ in range(300)))
            calm = [await post(seed, neighbour) for seed in range(20)]
            return await flood, calm

        alone = [site.run(post(seed, neighbour)).json()["data"] for seed in range(20)]
        flood, calm = site.run(both())
    assert [answer.status_code for answer in calm] == [200] * 20
    assert [answer.json()["data"] for answer in calm] == alone
    assert sorted(answer.status_code for answer in flood) == [200] * 5 + [429] * 295
    for refused in (answer for answer in flood if answer.status_code == 429):
        assert refused.headers["retry-after"] == "17280"
        assert refused.headers["ratelimit"] == '"requests";r=0;t=17280'
        assert refused.json()["type"] == "/problems/rate-limited"
