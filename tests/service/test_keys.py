"""Keys of the environment: off by default, and where they are on, nothing is drawn without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import InvalidSettings
from service.settings import load_settings
from tests.fakes.site import LocalService, local_service

KEYS = ("first-key-0123456789", "second+key/0123456=")


@pytest.fixture(scope="module")
def guarded(models_dir: Path) -> Iterator[LocalService]:
    """A service that asks for one of two keys."""
    with local_service(models_dir, default_model="grey", api_keys=",".join(KEYS)) as running:
        yield running


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_each_key_opens_every_route(guarded: LocalService, key: str, scheme: str) -> None:
    headers = {"authorization": f"{scheme} {key}"}
    assert guarded.generate({"seed": 1}, **headers).status_code == 200
    for path in ("/models", "/models/grey", "/models/grey/preview.png", "/images/grey/1/2.png", "/metrics"):
        assert guarded.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/models",
        "/models/grey",
        "/models/none",
        "/models/grey/preview.png",
        "/images/grey/1/2.png",
        "/metrics",
    ],
)
def test_without_a_key_nothing_is_told(guarded: LocalService, path: str) -> None:
    """A model that is there and one that is not look the same."""
    response = guarded.get(path)
    assert response.status_code == 401
    assert response.json()["type"] == "/problems/unauthorized"
    assert response.headers["www-authenticate"] == 'Bearer realm="forger"'


@pytest.mark.parametrize("path", ["/generate", "/arithmetic", "/interpolate"])
def test_without_a_key_no_body_is_read(guarded: LocalService, path: str) -> None:
    assert guarded.post(path, {"seed": "nonsense"}).status_code == 401


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {KEYS[0]}", KEYS[0], f"Bearer {KEYS[0]}x", "Bearer é"],
)
def test_a_wrong_key_is_said_to_be_wrong(guarded: LocalService, given: str) -> None:
    headers = {"authorization": given.encode()}
    response = guarded.request("POST", "/generate", json={}, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].endswith('error="invalid_token"')
    assert KEYS[0] not in response.text


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/", "/problems/unauthorized"])
def test_probes_and_help_need_no_key(guarded: LocalService, path: str) -> None:
    assert guarded.get(path).status_code == 200


def test_a_shared_cache_keeps_nothing_that_needs_a_key(guarded: LocalService) -> None:
    headers = {"authorization": f"Bearer {KEYS[0]}"}
    for path in ("/models/grey/preview.png", "/images/grey/1/2.png"):
        assert guarded.get(path, headers=headers).headers["cache-control"] == "private, no-cache"


def test_two_keys_in_one_request_are_none(guarded: LocalService) -> None:
    headers = [("authorization", f"Bearer {KEYS[0]}"), ("authorization", f"Bearer {KEYS[1]}")]
    assert guarded.request("GET", "/models", headers=headers).status_code == 401


@pytest.mark.parametrize("value", ["short", "with space 0123456789", f"{KEYS[0]},x", "é" * 20])
def test_a_key_that_is_none_stops_the_start_and_stays_out_of_the_log(value: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings({"FORGER_API_KEYS": value})
    assert "16 to 256 letters" in str(caught.value)
    assert value not in str(caught.value)


def test_keys_are_not_shown_with_the_settings(guarded: LocalService) -> None:
    assert KEYS[0] not in repr(guarded.runtime.settings)
