"""The two clients: what they send, what they never tell, and that they are the same."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any, get_type_hints

import httpx
import pytest

from forger import NEVER, AsyncClient, Client, ConnectionFailed, Misuse, Retries, TimedOut, __version__
from tests.fakes.transport import drawn, service

KEY = "fk_secret_of_the_test"


def methods(kind: type) -> dict[str, str]:
    """Return the signatures of what may be called."""
    return {
        name: str(inspect.signature(member)).replace("AsyncIterator", "Iterator").replace("AsyncBase", "Base")
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def namespaces(kind: type) -> dict[str, type]:
    """Return what stands behind a word of its own, as ``client.admin`` does."""
    return {
        name: get_type_hints(member.fget)["return"]
        for name, member in inspect.getmembers(kind, lambda member: isinstance(member, property))
    }


def test_both_clients_have_the_same_methods_with_the_same_signatures() -> None:
    assert methods(Client) == methods(AsyncClient)
    started = [str(inspect.signature(kind.__init__)) for kind in (Client, AsyncClient)]
    assert started[0] == started[1].replace("AsyncBase", "Base")
    assert methods(Client).keys() >= {
        "generate", "arithmetic", "interpolate", "bulk", "stream", "models", "model",
    }  # fmt: skip


def test_both_clients_have_the_same_namespaces_with_the_same_methods() -> None:
    """Each with classes of its own: what blocks is not awaited, and the other way round."""
    blocking, awaiting = namespaces(Client), namespaces(AsyncClient)
    assert blocking.keys() == awaiting.keys() == {"admin"}
    for name, kind in blocking.items():
        assert methods(kind) == methods(awaiting[name])
        for method in methods(kind):
            assert not inspect.iscoroutinefunction(getattr(kind, method))
            assert inspect.iscoroutinefunction(getattr(awaiting[name], method))


def test_every_method_says_what_it_does() -> None:
    for face in (Client, AsyncClient):
        assert all(inspect.getdoc(getattr(face, name)) for name in namespaces(face))
        for kind in (face, *namespaces(face).values()):
            for name in methods(kind):
                assert inspect.getdoc(getattr(kind, name)), name


def test_each_request_has_the_key_and_a_name_and_no_two_the_same_name() -> None:
    seen: list[httpx.Request] = []
    transport = service(lambda request, body: drawn(body), seen=seen)
    with Client(api_key=KEY, transport=transport) as client:
        one, _ = client.generate(1), client.generate(1)
    assert [request.headers["authorization"] for request in seen] == [f"Bearer {KEY}"] * 3
    names = [request.headers["x-request-id"] for request in seen]
    assert len(set(names)) == 3
    assert all(1 <= len(name) <= 128 and name.isalnum() for name in names)
    assert one.request_id == "r-1"
    assert {request.headers["user-agent"] for request in seen} == {f"forger-client/{__version__}"}


def test_a_request_keeps_its_name_when_it_is_sent_again() -> None:
    seen: list[httpx.Request] = []

    def gone(request: httpx.Request, body: object) -> httpx.Response:
        raise httpx.ReadError("gone")

    client = Client(transport=service(gone, seen=seen), retries=Retries(attempts=3, first_s=0))
    with client, pytest.raises(ConnectionFailed) as caught:
        client.generate(1)
    assert {request.headers["x-request-id"] for request in seen[1:]} == {caught.value.request_id}
    assert len(seen) == 4


def test_without_a_key_none_is_sent() -> None:
    seen: list[httpx.Request] = []
    with Client(transport=service(lambda request, body: drawn(body), seen=seen)) as client:
        client.generate(1)
    assert all("authorization" not in request.headers for request in seen)


def test_the_environment_names_the_service_and_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGER_URL", "https://forger.example/prefix/")
    monkeypatch.setenv("FORGER_API_KEY", KEY)
    seen: list[httpx.Request] = []
    with Client(transport=service(lambda request, body: drawn(body), seen=seen)) as client:
        client.models()
    assert str(seen[0].url) == "https://forger.example/prefix/models"
    assert seen[0].headers["authorization"] == f"Bearer {KEY}"
    seen.clear()
    with Client(
        "http://other:1", api_key="given", transport=service(lambda r, b: drawn(b), seen=seen)
    ) as client:
        client.models()
    assert str(seen[0].url) == "http://other:1/models"
    assert seen[0].headers["authorization"] == "Bearer given"


def test_the_key_is_in_no_text_that_anybody_reads(caplog: pytest.LogCaptureFixture) -> None:
    """Not in what a client is printed as, not in an error or its causes, not in any log."""

    def gone(request: httpx.Request, body: object) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    with caplog.at_level(logging.DEBUG):
        with Client(api_key=KEY, transport=service(gone), retries=NEVER) as client:
            texts = [repr(client), str(client), repr(client._core)]
            with pytest.raises(ConnectionFailed) as caught:
                client.generate(1)
        error: BaseException | None = caught.value
        while error is not None:
            texts += [str(error), repr(error)]
            error = error.__cause__
    assert not [text for text in [*texts, caplog.text] if KEY in text]


def test_the_key_is_in_no_log_of_a_real_connection(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Client(server.url, api_key=KEY) as client:
        client.generate(1)
    assert "httpcore" in {record.name.partition(".")[0] for record in caplog.records}
    assert KEY not in caplog.text


@pytest.mark.parametrize("key", ["a b", "line\nend", "tab\t", "schlüssel", "\x00"])
def test_a_key_that_fits_no_header_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(Misuse) as caught:
        Client(api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:3000",
        "ftp://host",
        "http://",
        "http://a\nb",
        "http://host:port",
        "http://h/?a=b",
        "http://h/#f",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    if url == "":
        assert str(Client(url)._core.url) == "http://127.0.0.1:3000"
        return
    with pytest.raises(Misuse, match="address"):
        Client(url)


def test_an_address_with_a_password_is_refused_and_not_told() -> None:
    with pytest.raises(Misuse) as caught:
        Client("http://user:hunter2@host")
    assert "hunter2" not in str(caught.value)


def test_the_client_that_blocks_uses_its_transport_for_bulk_too(tmp_path: Any) -> None:
    """Also one that cannot be awaited: nothing of a test with a transport of its own reaches a network."""

    class Blocking(httpx.BaseTransport):
        def __init__(self) -> None:
            self.inner = service(as_array)

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return self.inner.handle_request(request)

    def as_array(request: httpx.Request, body: dict[str, int]) -> httpx.Response:
        from io import BytesIO

        import numpy as np

        from tests.fakes.transport import ORIGIN

        file = BytesIO()
        np.save(file, np.zeros((body["n"], 2, 2, 1), np.uint8))
        headers = {**ORIGIN, "content-type": "application/x-npy"}
        return httpx.Response(200, headers=headers, content=file.getvalue())

    with Client(transport=Blocking()) as client:
        report = client.bulk(100, sink=f"npz:{tmp_path}/o.npz", seed=0)
    assert report.is_complete
    assert report.drawn == 100


def test_an_answer_that_drips_ends_at_the_deadline() -> None:
    """One that sends a byte now and then is not alive for ever."""
    times = iter(range(1000))

    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            for _ in range(1000):
                next(times)
                yield b"x"

    from forger.transport import read_in_time

    response = httpx.Response(200, stream=Drip(), request=httpx.Request("GET", "http://s/"))
    with pytest.raises(httpx.ReadTimeout):
        read_in_time(response, 10.0, lambda: float(next(times)))
    assert next(times) < 50


def test_the_client_that_awaits_gives_up_in_time() -> None:
    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            raise AssertionError

    async def ask() -> None:
        async with AsyncClient(
            transport=Silent(), retries=Retries(attempts=2, each_s=0.05, first_s=0)
        ) as client:
            await client.models()

    with pytest.raises(TimedOut):
        asyncio.run(ask())


def test_the_client_that_blocks_runs_bulk_inside_of_a_loop_too(tmp_path: Any, server: Any) -> None:
    """As in a notebook, where a loop runs already."""

    async def notebook() -> int:
        with Client(server.url) as client:
            return client.bulk(10, sink=f"npz:{tmp_path}/o.npz", seed=0).drawn

    assert asyncio.run(notebook()) == 10


def test_not_ready_is_told_at_once() -> None:
    assert not Client("http://127.0.0.1:9").is_ready()
    assert not Client(transport=httpx.MockTransport(lambda request: httpx.Response(503))).is_ready()
