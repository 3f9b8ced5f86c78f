"""The gate: every route asks for the scope in the table, and no key ever gets out."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.routing import Route

from service.access.scopes import Scope
from service.http import scopes
from service.http.drawing import DrawingEndpoints
from service.http.edge import Edge
from service.http.exchange import exchange_of
from service.http.scopes import scope_of
from tests.fakes.keys import bearer, new_key
from tests.fakes.site import LocalService, local_service

NAMES = {"model": "grey", "name": "grey", "seed": "1", "index": "2", "asset": "none", "slug": "forbidden"}
OPEN = {"/", "/livez", "/readyz", "/healthz", "/openapi.json", "/docs", "/docs/{asset}", "/problems/{slug}"}
ENVIRONMENT = "a-key-of-the-environment"


@dataclass(frozen=True)
class Guarded:
    """A service, and a key for every scope, and others."""

    site: LocalService
    keys: dict[str, str]

    def ask(self, route: Route, headers: Any) -> httpx.Response:
        """Send what a route asks for, as far as the path goes; what is administered is never there."""
        names = {} if route.path.startswith("/admin") else NAMES
        path = re.sub(r"\{(\w+)\}", lambda name: names.get(name[1], "none"), route.path)
        method = min(set(route.methods or ()) - {"HEAD"})
        return self.site.request(method, path, headers=headers)


@pytest.fixture(scope="module")
def guarded(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    file = tmp_path_factory.mktemp("keys") / "keys.jsonl"
    keys = {scope.value: new_key(file, scope.value, scope) for scope in Scope}
    keys["all"] = new_key(file, "all", *Scope)
    keys["expired"] = new_key(file, "expired", *Scope, expires="2020-01-01T00:00:00Z")
    keys["lasting"] = new_key(file, "lasting", *Scope, expires="2999-01-01T00:00:00+02:00")
    settings = {"keys_file": file, "api_keys": ENVIRONMENT}
    with local_service(models_dir, default_model="grey", **settings) as site:
        # Refusals are held when they are many; on this clock they are not.
        site.edge._site.gate._clock = iter(range(0, 10**15, 10**9)).__next__
        yield Guarded(site, keys)


def routes(site: LocalService) -> list[tuple[Route, Scope | None]]:
    found = [(route, scope_of(route.path)) for route in site.edge._routes]
    assert len(found) > 10
    return found


def test_every_route_is_in_the_table_and_only_those_for_everybody_are_open(guarded: Guarded) -> None:
    """A new route is closed or stands in OPEN, here as well: nothing is open because it was forgotten."""
    opened = {route.path for route, scope in routes(guarded.site) if scope is None}
    assert opened == OPEN
    assert scope_of("/metrics") is Scope.METRICS
    assert scope_of("/admin/models/{name}") is Scope.ADMIN
    with pytest.raises(LookupError):
        scope_of("/forgotten/{name}")


def test_no_service_is_made_over_a_route_that_nobody_has_put_into_the_table(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(scopes._SCOPES, "metrics")
    scope_of.cache_clear()
    try:
        with pytest.raises(LookupError, match="metrics"):
            Edge(service.edge._app, lambda: service.edge._site)
    finally:
        monkeypatch.undo()
        scope_of.cache_clear()


WITHOUT = {
    "none": ({}, 'Bearer realm="forger"'),
    "wrong": (bearer("forger_all_" + "A" * 43), 'Bearer realm="forger", error="invalid_token"'),
    "unknown": (bearer("forger_nobody_" + "A" * 43), 'Bearer realm="forger", error="invalid_token"'),
    "not of our form": (bearer("hunter2"), 'Bearer realm="forger", error="invalid_token"'),
    "empty": ({"authorization": ""}, 'Bearer realm="forger", error="invalid_token"'),
    "malformed": ({"authorization": "Bearer"}, 'Bearer realm="forger", error="invalid_token"'),
    "endless": (bearer("forger_all_" + "A" * 50_000), 'Bearer realm="forger", error="invalid_token"'),
    "of bytes": ({"authorization": b"Bearer \xff\xfe"}, 'Bearer realm="forger", error="invalid_token"'),
}


@pytest.mark.parametrize("state", WITHOUT)
def test_without_a_key_every_route_that_is_not_open_is_401(guarded: Guarded, state: str) -> None:
    headers, challenge = WITHOUT[state]
    for route, scope in routes(guarded.site):
        answer = guarded.ask(route, headers)
        if scope is None:
            assert answer.status_code not in {401, 403}, route.path
        else:
            assert answer.status_code == 401, route.path
            assert answer.headers["www-authenticate"] == challenge
            assert answer.json()["type"] == "/problems/unauthorized"


def test_a_known_key_in_another_form_is_401(guarded: Guarded) -> None:
    key = guarded.keys["all"]
    for headers in (
        {"authorization": f"Basic {key}"},
        {"authorization": key},
        {"authorization": f"Bearer {key}x"},
        {"authorization": f"Bearer {key} {key}"},
        [("authorization", f"Bearer {key}"), ("authorization", f"Bearer {key}")],
        {"x-api-key": key},
    ):
        for route, scope in routes(guarded.site):
            if scope is not None:
                assert guarded.ask(route, headers).status_code == 401, route.path
    assert guarded.site.get(f"/models?access_token={key}").status_code == 401


def test_an_expired_key_is_401_everywhere_and_one_that_is_not_passes(guarded: Guarded) -> None:
    for route, scope in routes(guarded.site):
        if scope is not None:
            answer = guarded.ask(route, bearer(guarded.keys["expired"]))
            assert answer.status_code == 401, route.path
            assert answer.headers["www-authenticate"].endswith('error="invalid_token"')
            assert answer.json()["detail"] == "The key has expired."
        assert guarded.ask(route, bearer(guarded.keys["lasting"])).status_code not in {401, 403}


@pytest.mark.parametrize("held", [scope.value for scope in Scope])
def test_a_key_opens_the_routes_of_its_scope_and_no_others(guarded: Guarded, held: str) -> None:
    """Not even a key for admin opens more."""
    for route, scope in routes(guarded.site):
        answer = guarded.ask(route, bearer(guarded.keys[held]))
        if scope in {None, held}:
            assert answer.status_code not in {401, 403}, route.path
            continue
        assert answer.status_code == 403, route.path
        challenge = f'Bearer realm="forger", error="insufficient_scope", scope="{scope}"'
        assert answer.headers["www-authenticate"] == challenge
        assert answer.json()["detail"] == f"This key lacks the scope {scope}, which is asked for here."


def test_a_key_of_all_scopes_opens_everything(guarded: Guarded) -> None:
    for route, _ in routes(guarded.site):
        assert guarded.ask(route, bearer(guarded.keys["all"])).status_code not in {401, 403}


def test_head_is_guarded_as_get_is(guarded: Guarded) -> None:
    assert guarded.site.request("HEAD", "/metrics").status_code == 401
    assert (
        guarded.site.request("HEAD", "/metrics", headers=bearer(guarded.keys["metrics"])).status_code == 200
    )
    assert guarded.site.request("HEAD", "/metrics", headers=bearer(guarded.keys["admin"])).status_code == 403


def test_without_keys_everything_is_open(service: LocalService) -> None:
    for route, _ in routes(service):
        assert Guarded(service, {}).ask(route, bearer("hunter2")).status_code not in {401, 403}


def test_no_body_is_read_of_a_request_that_may_not_pass(guarded: Guarded) -> None:
    read = []

    async def body() -> Any:
        read.append(1)
        yield b"{}"

    for headers, status in ((bearer("hunter2"), 401), (bearer(guarded.keys["metrics"]), 403)):
        answer = guarded.site.request("POST", "/generate", content=body(), headers=headers)
        assert answer.status_code == status
    assert read == []


def test_the_exchange_tells_whose_key_it_was(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written about a request can name the key by its id."""
    named: list[str | None] = []

    async def note(_self: object, request: Request, *_: object) -> None:
        named.append(exchange_of(request).key_id)
        raise RuntimeError

    monkeypatch.setattr(DrawingEndpoints, "_carry_out", note)
    for key in (guarded.keys["all"], guarded.keys["generate"], ENVIRONMENT):
        guarded.site.generate({}, **bearer(key))
    assert named == ["all", "generate", "env:1"]


def test_no_key_is_ever_logged_told_or_shown(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the level DEBUG, of whatever was made of the request, when all goes wrong that can."""
    shown: list[str] = []

    async def explode(_self: object, request: Request, *_: object) -> None:
        shown.append(repr(request) + repr(exchange_of(request)) + repr(vars(exchange_of(request))))
        raise RuntimeError(shown[-1])

    wrong = "forger_all_" + "guessed" * 6
    secrets = [*guarded.keys.values(), ENVIRONMENT, wrong]
    with caplog.at_level(logging.DEBUG), monkeypatch.context() as patched:
        for secret in secrets:
            shown += [
                answer.text
                for answer in (guarded.ask(route, bearer(secret)) for route, _ in routes(guarded.site))
            ]
        patched.setattr(DrawingEndpoints, "_carry_out", explode)
        for secret in secrets:
            answer = guarded.site.generate({}, **bearer(secret))
            shown += [answer.text, str(answer.headers)]
    runtime = guarded.site.runtime
    shown += [repr(runtime.settings), str(runtime.settings), runtime.metrics.render().decode(), caplog.text]
    shown += [repr(vars(runtime)), repr(vars(runtime.keyring))]
    assert "RuntimeError" in caplog.text
    for secret in secrets:
        assert not any(secret in text or secret.split("_", 2)[-1] in text for text in shown), secret
