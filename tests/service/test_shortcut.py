"""The short way to the edge is taken where it is known, and nothing is lost where it is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.shortcut import shorten_the_way
from tests.fakes.models import CONDITIONAL, write_models

ROOT = Path(__file__).parent.parent.parent


class _Noted:
    """A middleware that notes which types of scopes pass it."""

    def __init__(self, app: ASGIApp, passed: list[str]) -> None:
        self._app = app
        self._passed = passed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._passed.append(scope["type"])
        await self._app(scope, receive, send)


def _built(passed: list[str]) -> Starlette:
    application = Starlette(middleware=[Middleware(_Noted, passed=passed)])
    application.middleware_stack = application.build_middleware_stack()
    return application


def _call(app: Any, kind: str) -> None:
    """Drive an application to its first wait."""

    async def nothing(*_: object) -> dict[str, Any]:
        return {"type": f"{kind}.disconnect"}

    scope = {"type": kind, "path": "/", "method": "GET", "headers": [], "query_string": b""}
    try:
        app(scope, nothing, nothing).send(None)
    except (StopIteration, AssertionError):
        return


def test_http_goes_to_the_edge_at_once_and_all_else_through_the_stack() -> None:
    passed: list[str] = []
    reached: list[str] = []

    async def edge(scope: Scope, _receive: Receive, _send: Send) -> None:
        reached.append(scope["type"])

    application = _built(passed)
    assert shorten_the_way(application, edge)
    _call(application, "http")
    _call(application, "websocket")
    assert (reached, passed) == (["http"], ["websocket"])


@pytest.mark.parametrize("strange", [None, object(), Starlette()])
def test_what_is_built_otherwise_is_left_as_it_is(strange: object) -> None:
    """The last of them has no stack yet."""
    before = dict(vars(strange)) if isinstance(strange, Starlette) else None
    assert not shorten_the_way(strange, lambda *_: None)
    if before is not None:
        assert vars(strange) == before


_LONG_WAY = """
import sys
from starlette.testclient import TestClient
import service.http.edge as edge
if sys.argv[1] == "long":
    edge.shorten_the_way = lambda *_: False
from service.app import Forger
with TestClient(Forger.to_asgi()) as client:
    drawn = client.post("/generate", json={"n": 2, "seed": 3}, headers={"Accept": "application/x-npy"})
    wrong = client.post("/generate", json={"n": 0})
    print(drawn.status_code, drawn.content.hex(), wrong.status_code, wrong.json()["detail"])
    print("BentoML" in drawn.headers.get("server", ""))
"""


def test_both_ways_lead_to_the_same_answers(tmp_path: Path) -> None:
    """Only what went through BentoML's API bears its name."""
    models = write_models(tmp_path / "models", (CONDITIONAL,))
    answers = {}
    for way in ("short", "long"):
        done = subprocess.run(
            [sys.executable, "-c", _LONG_WAY, way],
            cwd=ROOT,
            env={
                "FORGER_MODELS_DIR": str(models),
                "FORGER_DEFAULT_MODEL": "grey",
                "BENTOML_HOME": str(tmp_path / way),
                "BENTOML_DO_NOT_TRACK": "True",
                "PATH": "/usr/bin:/bin",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers[way] = done.stdout.splitlines()
    assert answers["short"][0] == answers["long"][0]
    assert answers["short"][0].startswith("200 ")
    assert (answers["short"][1], answers["long"][1]) == ("False", "True")
