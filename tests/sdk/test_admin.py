"""The operator's commands: what is sent, what may be sent twice, what is refused before, and what is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import FrozenInstanceError
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forger import NEVER, BadAnswer, Client, ConnectionFailed, Misuse, Retries, Standing
from forger.errors import UnknownRoute
from tests.sdk.awaited import KINDS, client_of

HASTY = Retries(attempts=8, first_s=0)
FAULTS = ("lost before", "lost after", "refused", "none")


def told(version: int = 1, **other: Any) -> dict[str, Any]:
    """Return a standing as the service spells it."""
    return {
        "name": "grey", "version": version, "state": "served", "current": False, "pinned": False,
        "digest": f"sha256:{version}", "reason": None, **other,
    }  # fmt: skip


class Operated(httpx.MockTransport):
    """A service of some versions of one model that can be pinned, over a network that has faults."""

    def __init__(self, versions: Sequence[int] = (1, 2, 3), faults: Sequence[str] = ()) -> None:
        super().__init__(self._answer)
        self.versions = versions
        self.pinned: int | None = None
        self.seen: list[httpx.Request] = []
        self.away: set[int] = set()
        self._faults = iter(faults)

    @property
    def served(self) -> list[int]:
        return [version for version in self.versions if version not in self.away]

    @property
    def current(self) -> int:
        return self.pinned or max(self.served)

    @property
    def sent(self) -> list[str]:
        """What came, without the host."""
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.seen]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        fault = next(self._faults, "none")
        if fault == "lost before":
            raise httpx.ReadError("gone")
        if fault == "refused":
            return httpx.Response(503)
        answer = httpx.Response(200, json=self._carry_out(request))
        if fault == "lost after":
            raise httpx.RemoteProtocolError("gone before it answered")
        return answer

    def _carry_out(self, request: httpx.Request) -> object:
        *_, word = request.url.path.split("/")
        version = request.url.params.get("version")
        if word in ("models", "reload"):
            return {"data": [self._standing(one) for one in self.versions]}
        if word == "rollback":
            self.pinned = max(one for one in self.served if one < self.current)
        if word in ("pin", "unpin"):
            self.pinned = None if word == "unpin" else int(version or self.current)
        if word in ("load", "unload"):
            (self.away.add if word == "unload" else self.away.discard)(int(version or 0))
        return self._standing(int(version or self.current))

    def _standing(self, version: int) -> dict[str, Any]:
        if version in self.away:
            return told(version, state="unloaded", digest=None)
        return told(version, current=version == self.current, pinned=version == self.pinned)


@pytest.mark.parametrize("kind", KINDS)
def test_each_command_is_one_request_to_its_route(kind: str) -> None:
    """Without a body: the path says everything."""
    service = Operated()
    with client_of(kind, transport=service, retries=NEVER) as client:
        listed = client.admin.models()
        assert client.admin.reload() == listed
        assert client.admin.unload("grey:1").state == "unloaded"
        assert client.admin.load("grey:1").state == "served"
        assert client.admin.pin("grey:2").pinned
        assert client.admin.pin("grey").version == 2
        assert client.admin.unpin("grey").version == 3
    assert [one.version for one in listed] == [1, 2, 3]
    assert listed[2] == Standing(
        "grey", 3, "served", current=True, pinned=False, digest="sha256:3", reason=None
    )
    assert service.sent == [
        "GET /admin/models",
        "POST /admin/reload",
        "POST /admin/models/grey/unload?version=1",
        "POST /admin/models/grey/load?version=1",
        "POST /admin/models/grey/pin?version=2",
        "POST /admin/models/grey/pin",
        "POST /admin/models/grey/unpin",
    ]
    assert {request.content for request in service.seen} == {b""}


def test_a_name_cannot_lead_to_another_route() -> None:
    service = Operated()
    with Client(transport=service) as client:
        client.admin.pin("../reload?x=#")
    assert service.sent == ["POST /admin/models/..%2Freload%3Fx%3D%23/pin"]


@pytest.mark.parametrize("kind", KINDS)
def test_rollback_pins_what_is_served_before_the_current_version(kind: str) -> None:
    service = Operated([1, 2, 3, 4])
    with client_of(kind, transport=service, retries=NEVER) as client:
        client.admin.unload("grey:3")
        assert client.admin.rollback("grey") == Standing.read(told(2, current=True, pinned=True))
        assert client.admin.rollback("grey").version == 1
    assert not [sent for sent in service.sent if sent.endswith("/rollback")]


@given(faults=st.lists(st.sampled_from(FAULTS), max_size=30))
def test_rollback_goes_back_by_one_version_at_most_whatever_is_lost(faults: list[str]) -> None:
    """And by exactly one if it returns."""
    service = Operated(range(1, 50), faults)
    with Client(transport=service, retries=HASTY) as client:
        try:
            assert client.admin.rollback("grey").version == 48
        except (ConnectionFailed, BadAnswer):
            assert service.current in (49, 48)
        else:
            assert service.current == 48


@given(faults=st.lists(st.sampled_from(FAULTS), max_size=7))
@pytest.mark.parametrize("word", ["load", "unload", "pin"])
def test_a_command_that_is_sent_again_does_what_it_does_once(word: str, faults: list[str]) -> None:
    service = Operated(faults=faults)
    with Client(transport=service, retries=HASTY) as client:
        standing = getattr(client.admin, word)("grey:2")
    assert (standing.state, standing.pinned) == ("unloaded" if word == "unload" else "served", word == "pin")
    assert standing == Standing.read(service._standing(2))


@pytest.mark.parametrize(
    ("versions", "name", "reason"),
    [
        ([2], "grey", "grey:2 is the lowest"),
        ([1, 2], "nobody", "'nobody'"),
        ([], "grey", "none to go back from"),
    ],
)
def test_nothing_is_changed_when_there_is_nothing_to_go_back_to(
    versions: list[int], name: str, reason: str
) -> None:
    service = Operated(versions)
    with Client(transport=service) as client, pytest.raises(Misuse, match=reason):
        client.admin.rollback(name)
    assert service.sent == ["GET /admin/models"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("word", "reference", "reason"),
    [
        ("load", "grey", "mnist:2"),
        ("unload", "grey", "mnist:2"),
        ("unpin", "grey:2", "the name alone, 'grey'"),
        ("rollback", "grey:2", "the name alone, 'grey'"),
        *((word, "", "named like") for word in ("load", "unload", "pin", "unpin", "rollback")),
        *(
            ("pin", wrong, "whole number")
            for wrong in ("a:", "a:0", "a:01", "a:-1", "a:1:2", "a:x", "a:²", "a: 1")
        ),
        ("load", ":1", "named like"),
    ],
)
def test_misuse_is_told_before_anything_is_sent(kind: str, word: str, reference: str, reason: str) -> None:
    service = Operated()
    with client_of(kind, transport=service) as client, pytest.raises(Misuse, match=reason):
        getattr(client.admin, word)(reference)
    assert service.seen == []


def test_a_standing_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Standing.read(told()).pinned = True  # type: ignore[misc]


WRONG: Mapping[str, object] = {
    "no object": [],
    "nothing": None,
    "a field less": {name: value for name, value in told().items() if name != "reason"},
    "a version in words": told(version="1"),
    "a version that is a truth": told(version=True),
    "a truth that is a number": told(current=1),
    "no state": told(state=None),
    "a digest that is none": told(digest=5),
    "a reason in pieces": told(reason=[]),
}


@pytest.mark.parametrize("what", sorted(WRONG))
def test_a_standing_that_no_service_tells_is_a_bad_answer(what: str) -> None:
    document = WRONG[what]
    answers: dict[Callable[[Client], object], object] = {
        lambda client: client.admin.models(): {"data": [document]},
        lambda client: client.admin.reload(): {"data": [told(), document]},
        lambda client: client.admin.pin("grey"): document,
        lambda client: client.admin.rollback("grey"): {"data": [document]},
    }
    for ask, answer in answers.items():
        transport = httpx.MockTransport(lambda request, answer=answer: httpx.Response(200, json=answer))
        with Client(transport=transport) as client, pytest.raises(BadAnswer):
            ask(client)


@pytest.mark.parametrize("answer", [{}, [], {"data": None}, {"data": 1}, {"data": "grey"}])
def test_a_list_that_no_service_tells_is_a_bad_answer(answer: object) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))
    with Client(transport=transport) as client, pytest.raises(BadAnswer):
        client.admin.models()


def test_what_a_newer_service_adds_is_passed_over() -> None:
    assert Standing.read(told(state="warming", since="today")).state == "warming"


def test_a_service_without_keys_has_no_such_routes(client: Client) -> None:
    with pytest.raises(UnknownRoute):
        client.admin.models()
