"""Behind others: a proxy's path prefix, and the trace that a request belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import InvalidSettings
from service.http.drawing import DrawingEndpoints
from service.settings import load_settings
from tests.fakes.site import LocalService, local_service

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def prefixed(models_dir: Path) -> Iterator[LocalService]:
    """A service that clients know under /gan/v1."""
    with local_service(models_dir, default_model="grey", root_path="/gan/v1") as running:
        yield running


@pytest.mark.parametrize("prefix", ["", "/gan/v1"])
def test_a_proxy_may_take_its_prefix_off_or_leave_it(prefixed: LocalService, prefix: str) -> None:
    assert prefixed.get(f"{prefix}/models/grey").json()["name"] == "grey"
    assert prefixed.request("POST", f"{prefix}/generate", json={"n": 2}).status_code == 200
    assert "curl -s http://forger.test/gan/v1/generate" in prefixed.get(f"{prefix}/").text
    refused = prefixed.request("POST", f"{prefix}/generate", json={"n": 0}).json()
    assert (refused["type"], refused["instance"]) == ("/gan/v1/problems/invalid-input", "/gan/v1/generate")
    assert prefixed.get(refused["type"]).status_code == 200


def test_the_prefix_alone_is_the_root(prefixed: LocalService) -> None:
    assert prefixed.get("/gan/v1").status_code == 200


@pytest.mark.parametrize("path", ["/gan/v1models", "/gan", "/gan/v1/gan/v1/models", "/other/models"])
def test_other_paths_are_not_taken_for_the_prefix(prefixed: LocalService, path: str) -> None:
    assert prefixed.get(path).status_code == 404


@pytest.mark.parametrize(
    "value", ["a", "/", "/a/", "a/b", "//a", "/a//b", "/a/..", "/a b", "/a?b", "https://a.b"]
)
def test_a_prefix_that_is_none_stops_the_start(value: str) -> None:
    with pytest.raises(InvalidSettings, match=r"FORGER_ROOT_PATH=.*such as /a/b"):
        load_settings({"FORGER_ROOT_PATH": value})


@pytest.mark.parametrize("value", ["", "/a", "/a/b", "/a-1/b_2/c.d~e"])
def test_sound_prefixes_are_taken(value: str) -> None:
    assert load_settings({"FORGER_ROOT_PATH": value}).root_path == value


@pytest.fixture
def logged(
    service: LocalService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[pytest.LogCaptureFixture]:
    """The log, while every request fails unexpectedly."""

    async def explode(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(DrawingEndpoints, "_carry_out", explode)
    return caplog


@pytest.mark.parametrize(
    "parent", [f"00-{TRACE}-{PARENT}-01", f"01-{TRACE}-{PARENT}-00", f"cc-{TRACE}-{PARENT}-01-x"]
)
def test_log_lines_name_the_trace_and_the_request(
    service: LocalService, logged: pytest.LogCaptureFixture, parent: str
) -> None:
    assert service.generate({}, traceparent=parent, x_request_id="find-me").status_code == 500
    assert f"request find-me (trace {TRACE})" in logged.text


@pytest.mark.parametrize(
    "parent",
    [
        "nonsense",
        "",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-x",
        f"00-{TRACE}-{PARENT}",
    ],
)
def test_an_unsound_traceparent_is_as_if_absent(
    service: LocalService, logged: pytest.LogCaptureFixture, parent: str
) -> None:
    assert service.generate({}, traceparent=parent, x_request_id="find-me").status_code == 500
    assert "request find-me failed" in logged.text
    assert "(trace " not in logged.text
