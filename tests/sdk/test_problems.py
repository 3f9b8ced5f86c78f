"""Every type of problem of the service is an exception of its own, and no document breaks the reading."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forger import NEVER, BadAnswer, Client, ForgerError, Problem, Retries, errors
from forger.errors import BY_SLUG, problem_in
from service.http.problems import BY_SLUG as OF_THE_SERVICE
from tests.fakes.transport import drawn, service

# Nobody is there to be told of it.
NEVER_SEEN = {"client-left"}


def kinds(root: type[ForgerError]) -> Iterator[type[ForgerError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


@pytest.mark.parametrize("slug", sorted(OF_THE_SERVICE.keys() - NEVER_SEEN))
def test_every_problem_of_the_service_is_an_exception_of_its_own(slug: str) -> None:
    """As the service's own table has it: the client may know more, never less."""
    told = OF_THE_SERVICE[slug]
    document = {
        "type": f"/prefix{told.type}",
        "status": told.status,
        "title": told.title,
        "request_id": "r-9",
    }

    def refuse(request: httpx.Request, body: object) -> httpx.Response:
        headers = {"content-type": "application/problem+json", "retry-after": "4"}
        return httpx.Response(told.status, json={**document, "detail": "because"}, headers=headers)

    with Client(transport=service(refuse), retries=NEVER) as client, pytest.raises(Problem) as caught:
        client.generate(1)
    error = caught.value
    assert type(error) is not Problem
    assert (error.slug, error.status, error.title) == (slug, told.status, told.title)
    assert (error.detail, error.request_id, error.retry_after_s) == ("because", "r-9", 4.0)
    assert told.title in str(error)


def test_no_two_exceptions_are_of_one_type_and_each_says_its_status() -> None:
    assert len(BY_SLUG) == len(Problem.__subclasses__())
    for slug, kind in BY_SLUG.items():
        told = OF_THE_SERVICE.get(slug)
        assert told is None or (kind.__doc__ or "").startswith(str(told.status)), kind


def test_the_tree_at_the_top_of_the_file_is_the_tree() -> None:
    drawn_there = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    assert drawn_there == {kind.__name__ for kind in kinds(ForgerError)}


def test_a_wrong_value_is_told_by_its_pointer() -> None:
    faults = [{"pointer": "/n", "detail": "n must be at most 64"}]
    document = {"type": "/problems/invalid-input", "title": "Wrong", "status": 422, "errors": faults}
    error = errors.InvalidInput(document)
    assert error.errors == tuple(faults)
    assert str(error) == "Wrong (422): /n: n must be at most 64"


def test_a_type_that_is_not_known_is_a_plain_problem() -> None:
    response = httpx.Response(
        418, headers={"content-type": "application/problem+json"}, json={"type": "/problems/teapot"}
    )
    response.request = httpx.Request("GET", "http://service/")
    assert type(problem_in(response)) is Problem


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
FIELDS = st.sampled_from(["type", "title", "status", "detail", "request_id", "errors"])


@given(st.dictionaries(FIELDS, JSON))
def test_no_document_breaks_the_reading(document: dict[str, object]) -> None:
    headers = {"content-type": "application/problem+json; charset=utf-8"}
    response = httpx.Response(500, headers=headers, json=document, request=httpx.Request("GET", "http://s/"))
    error = problem_in(response)
    assert isinstance(error, Problem)
    assert str(error)


@given(JSON.filter(lambda document: not isinstance(document, dict)))
def test_a_document_that_is_no_object_is_a_bad_answer(document: object) -> None:
    headers = {"content-type": "application/problem+json"}
    response = httpx.Response(500, headers=headers, json=document, request=httpx.Request("GET", "http://s/"))
    assert isinstance(problem_in(response), BadAnswer)


@pytest.mark.parametrize("kind", sorted(BY_SLUG))
def test_a_problem_travels_between_processes(kind: str) -> None:
    """Pools of processes send exceptions home by pickling them."""
    error = BY_SLUG[kind]({"type": f"/problems/{kind}", "title": "T", "status": 500, "detail": "d"}, 2.0)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - it is our own
    assert (type(again), str(again), again.retry_after_s) == (type(error), str(error), 2.0)


def test_an_error_page_of_a_proxy_is_a_bad_answer_that_shows_it() -> None:
    def page(request: httpx.Request, body: object) -> httpx.Response:
        return httpx.Response(502, html="<h1>502 Bad Gateway</h1>nginx")

    retries = Retries(attempts=2, first_s=0)
    with Client(transport=service(page), retries=retries) as client, pytest.raises(BadAnswer, match="nginx"):
        client.generate(1)


def test_a_problem_that_passes_is_never_seen() -> None:
    """The same images are asked for again: the client has drawn the seed."""
    bodies: list[object] = []

    def busy_at_first(request: httpx.Request, body: dict[str, object]) -> httpx.Response:
        bodies.append(body)
        if len(bodies) < 4:
            return httpx.Response(
                429,
                json={"type": "/problems/queue-full", "status": 429},
                headers={"content-type": "application/problem+json"},
            )
        return drawn(body)

    with Client(transport=service(busy_at_first), retries=Retries(first_s=0)) as client:
        assert len(client.generate(3)) == 3
    assert len(bodies) == 4
    assert all(body == bodies[0] for body in bodies)
