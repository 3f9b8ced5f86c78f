"""The operator's calls: there only where keys are, true to the document, and kept to by what is served."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.layout import ModelDirectory
from tests.fakes.keys import OPERATOR, bearer, operators_file
from tests.fakes.models import COLOUR, FakeModel, write_model
from tests.fakes.reader import Reader
from tests.fakes.site import LocalService, local_service

_AUTHORIZED = bearer(OPERATOR)
_COMMANDS = ("load", "unload", "pin", "unpin", "rollback")


class Operator:
    """Someone with a key, who holds every answer against the document."""

    def __init__(self, site: LocalService, root: Path) -> None:
        self.site = site
        self.root = root

    def get(self, path: str = "/admin/models") -> httpx.Response:
        return self._read("get", path, self.site.get(path, headers=_AUTHORIZED))

    def post(self, path: str, **options: Any) -> httpx.Response:
        answer = self.site.request("POST", f"/admin/{path}", headers=_AUTHORIZED, **options)
        return self._read("post", f"/admin/{path}", answer)

    def _read(self, method: str, path: str, answer: httpx.Response) -> httpx.Response:
        route = path.partition("?")[0]
        if route.count("/") > 2:
            route = f"/admin/models/{{name}}/{route.rpartition('/')[2]}"
        assert Reader.of(self.site).refused(route, method, answer) == [], answer.text
        return answer

    def standings(self) -> dict[str, str]:
        return {f"{one['name']}:{one['version']}": one["state"] for one in self.get().json()["data"]}

    def current(self) -> int:
        answer = self.site.generate({"model": "grey", "seed": 1}, **_AUTHORIZED)
        assert answer.status_code == 200
        return answer.json()["version"]


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """An operator of a service with three versions of its default model, and another model."""
    for version in (1, 2, 3):
        write_model(tmp_path, FakeModel("grey", version=version))
    write_model(tmp_path, COLOUR)
    with local_service(
        tmp_path, default_model="grey", keys_file=operators_file(tmp_path), models_poll_s=0
    ) as site:
        yield Operator(site, tmp_path)


def test_without_keys_there_are_no_such_routes(service: LocalService) -> None:
    """Not even for their methods: it is as if there were nothing of the kind."""
    paths = ["/admin", "/admin/models", "/admin/reload", *(f"/admin/models/grey/{one}" for one in _COMMANDS)]
    for path in paths:
        for method in ("GET", "POST", "DELETE"):
            answer = service.request(method, path)
            assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-route")
    assert not [path for path in Reader.of(service).document["paths"] if "admin" in path]
    assert "ModelStanding" not in Reader.of(service).document["components"]["schemas"]


def test_without_the_key_nothing_is_told_or_done(operator: Operator) -> None:
    for method, path in (("GET", "models"), ("POST", "reload"), ("POST", "models/grey/rollback")):
        assert operator.site.request(method, f"/admin/{path}").status_code == 401
    assert operator.current() == 3


def test_every_version_is_listed_with_its_state_and_reason(operator: Operator) -> None:
    broken = write_model(operator.root, FakeModel("grey", version=4))
    broken.generator.write_bytes(b"")
    answer = operator.post("reload").json()
    assert answer == operator.get().json()
    listed = {f"{one['name']}:{one['version']}": one for one in answer["data"]}
    assert list(listed) == ["colour:1", "grey:1", "grey:2", "grey:3", "grey:4"]
    assert listed["grey:4"]["state"] == "refused"
    assert listed["grey:4"]["reason"].startswith("generator.onnx is 0 bytes long, not ")
    assert [name for name, one in listed.items() if one["current"]] == ["colour:1", "grey:3"]
    assert listed["grey:3"]["digest"] == operator.site.runtime.repository.resolve("grey").digest
    assert str(operator.root) not in str(answer)


def test_a_new_version_is_served_when_it_is_asked_for_and_refused_for_its_reason(operator: Operator) -> None:
    directory = write_model(operator.root, FakeModel("grey", version=4))
    whole = directory.generator.read_bytes()
    directory.generator.write_bytes(whole[:-1])
    refused = operator.post("models/grey:4/load")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/unusable-model")
    assert "grey:4 cannot be served: generator.onnx is " in refused.json()["detail"]
    assert operator.current() == 3
    directory.generator.write_bytes(whole)
    assert operator.post("models/grey/load?version=4").json()["state"] == "served"
    assert operator.current() == 4


def test_pin_and_unpin_and_rollback_say_and_do_what_they_are_called(operator: Operator) -> None:
    assert operator.post("models/grey:1/pin").json()["pinned"] is True
    assert operator.current() == 1
    assert operator.post("models/grey/unpin").json()["version"] == 3
    assert operator.current() == 3
    assert [operator.post("models/grey/rollback").json()["version"] for _ in range(2)] == [2, 1]
    assert operator.current() == 1
    assert operator.post("models/grey/rollback").json()["detail"].startswith("grey:1 is the lowest version")
    assert operator.post("models/grey/unpin").json()["current"] is True
    assert operator.post("models/grey/pin", json={}).json() | {"digest": ""} == {
        "name": "grey", "version": 3, "state": "served", "current": True, "pinned": True, "digest": "",
        "reason": None,
    }  # fmt: skip


def test_what_is_needed_is_not_unloaded(operator: Operator) -> None:
    operator.post("models/grey:2/pin")
    answer = operator.post("models/grey:2/unload")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/model-conflict")
    assert "grey:2 is pinned" in answer.json()["detail"]
    operator.post("models/grey/unpin")
    for version in (1, 2):
        assert operator.post(f"models/grey:{version}/unload").json()["state"] == "unloaded"
    answer = operator.post("models/grey:3/unload")
    assert "last version of the default model" in answer.json()["detail"]
    assert operator.standings() == {
        "colour:1": "served", "grey:1": "unloaded", "grey:2": "unloaded", "grey:3": "served",
    }  # fmt: skip
    assert operator.post("models/colour/unload?version=1").status_code == 200
    assert operator.site.get("/models/colour", headers=_AUTHORIZED).status_code == 404


def test_the_document_is_of_what_is_served_now(operator: Operator) -> None:
    before = operator.site.get("/openapi.json")
    operator.post("models/colour:1/unload")
    after = operator.site.get("/openapi.json", headers={"if-none-match": before.headers["etag"]})
    assert after.status_code == 200
    assert "colour" in before.text
    assert "colour" not in after.text


@pytest.mark.parametrize(
    ("path", "status", "slug"),
    [
        ("models/none:1/load", 404, "unknown-model"),
        ("models/grey:9/load", 404, "unknown-model"),
        ("models/none/rollback", 404, "unknown-model"),
        ("models/none/unpin", 404, "unknown-model"),
        ("models/grey:9/pin", 404, "unknown-model"),
        ("models/none/pin", 404, "unknown-model"),
        ("models/grey/load", 422, "invalid-input"),
        ("models/grey/unload", 422, "invalid-input"),
        ("models/grey:x/pin", 422, "invalid-input"),
        ("models/grey:1/rollback", 422, "invalid-input"),
        ("models/grey:1/unpin", 422, "invalid-input"),
        ("models/grey/pin?version=0", 422, "invalid-input"),
        ("models/grey:1/pin?version=2", 422, "invalid-input"),
        ("models/grey/pin?v=1", 422, "invalid-input"),
        ("reload?now=1", 422, "invalid-input"),
    ],
)
def test_wrong_calls_are_told_what_is_wrong(operator: Operator, path: str, status: int, slug: str) -> None:
    answer = operator.post(path)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")


@pytest.mark.parametrize(
    ("content", "status"), [(b"{", 400), (b'{"version": 1}', 422), (b"[]", 422), (b" " * 2000, 413)]
)
def test_a_body_that_would_be_overlooked_is_refused(operator: Operator, content: bytes, status: int) -> None:
    assert operator.post("models/grey/rollback", content=content).status_code == status
    assert operator.current() == 3


def test_a_removed_directory_is_unloaded_and_one_under_way_is_finished(operator: Operator) -> None:
    """A request keeps the model that it found."""
    runtime = operator.site.runtime
    found = runtime.repository
    shutil.rmtree(ModelDirectory(operator.root, "grey", 3).path)
    operator.post("reload")
    assert operator.current() == 2
    assert found.resolve("grey").version == 3
    assert [one["version"] for one in operator.get().json()["data"] if one["name"] == "grey"] == [1, 2]
