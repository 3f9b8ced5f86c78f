"""Whatever a service, a proxy or a stranger answers: the client gives what was asked for, or says why not."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forger import NEVER, BadAnswer, ChangedModel, Client, ConnectionFailed, Item, L, Misuse
from forger.events import Events
from tests.fakes.transport import ORIGIN, archive, drawn, fact, model_document, npy, service

WHITE = npy(np.full((2, 2, 1), 255, np.uint8))
ZIP = {**ORIGIN, "content-type": "application/zip"}
UNNUMBERED = ZIP | {"X-Model-Version": "one"}
TORN = archive([fact(0)], {"0.npy": WHITE})[:-30]


def asked(answer: httpx.Response, model: Mapping[str, Any] | None = None, n: int = 1) -> Any:
    """Return what ``generate`` makes of an answer."""
    with Client(transport=service(lambda request, body: answer, model), retries=NEVER) as client:
        return client.generate(n, seed=0)


def zipped(
    facts: list[Any] | None, files: Mapping[str, bytes], headers: Mapping[str, str] = ZIP
) -> httpx.Response:
    return httpx.Response(200, headers=headers, content=archive(facts, files))


BAD = {
    "a page of a proxy": lambda: httpx.Response(200, html="<h1>Welcome</h1>"),
    "no media type": lambda: httpx.Response(200, headers=ORIGIN, content=b"x"),
    "JSON where an archive was asked for": lambda: httpx.Response(200, headers=ORIGIN, json={}),
    "nothing": lambda: httpx.Response(200, headers=ZIP),
    "a torn archive": lambda: httpx.Response(200, headers=ZIP, content=TORN),
    "no archive": lambda: httpx.Response(200, headers=ZIP, content=b"PK" + bytes(100)),
    "no manifest": lambda: zipped(None, {"000000.npy": WHITE}),
    "fewer facts than images": lambda: zipped([], {"000000.npy": WHITE}),
    "another number of images": lambda: zipped([fact(0), fact(1)], {"0.npy": WHITE, "1.npy": WHITE}),
    "facts that lack": lambda: zipped([{"role": "sample"}], {"0.npy": WHITE}),
    "facts that are none": lambda: zipped([[]], {"0.npy": WHITE}),
    "a wrong shape": lambda: zipped([fact(0)], {"0.npy": npy(np.zeros((2, 3, 1), np.uint8))}),
    "a wrong type": lambda: zipped([fact(0)], {"0.npy": npy(np.zeros((2, 2, 1), np.float64))}),
    "a torn array": lambda: zipped([fact(0)], {"0.npy": WHITE[:-1]}),
    "a pickle": lambda: zipped([fact(0)], {"0.npy": npy(np.array([{}], object))}),
    "no model named": lambda: zipped([fact(0)], {"0.npy": WHITE}, {"content-type": "application/zip"}),
    "a version that is no number": lambda: zipped([fact(0)], {"0.npy": WHITE}, UNNUMBERED),
    "a redirection": lambda: httpx.Response(301, headers={"location": "https://service/"}),
    "204 and nothing": lambda: httpx.Response(204),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(BAD))
def test_an_answer_that_no_service_gives_is_a_bad_answer(what: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        asked(BAD[what]())
    assert "http://127.0.0.1:3000" in str(caught.value) or "grey" in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading(content: bytes) -> None:
    with pytest.raises(BadAnswer):
        asked(httpx.Response(200, headers=ZIP, content=content))


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_flipped_byte_is_found_or_harmless(place: int, flip: int) -> None:
    """Archives carry checksums: what is read is what was written, or a bad answer."""
    content = bytearray(drawn({"seed": 0, "index": 7, "n": 1}).content)
    content[place % len(content)] ^= flip
    try:
        items = asked(httpx.Response(200, headers=ZIP, content=bytes(content)))
    except BadAnswer:
        return
    assert (items.array == 7).all() or items[0].index != 7


@pytest.mark.parametrize("document", [[], {}, {"data": None}, {"data": [{}]}, {"data": [[]]}, "text", None])
def test_models_that_are_none_are_a_bad_answer(document: object) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=document))
    with Client(transport=transport, retries=NEVER) as client, pytest.raises(BadAnswer):
        client.models()


@given(st.sampled_from(sorted(model_document())))
def test_a_model_that_lacks_a_field_is_a_bad_answer(field: str) -> None:
    document = {name: value for name, value in model_document().items() if name != field}
    with pytest.raises(BadAnswer, match=field):
        asked(httpx.Response(200), document)


def test_a_service_without_a_default_model_asks_for_a_name() -> None:
    with pytest.raises(Misuse, match="name one"):
        asked(httpx.Response(200), {**model_document(), "default": False})


def test_vectors_of_a_seed_come_as_one_array() -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    headers = {**ORIGIN, "content-type": "application/x-npy"}
    items = asked(
        httpx.Response(200, headers=headers, content=npy(vectors)), model_document(kind="vector"), 3
    )
    assert (items.array == vectors).all()
    assert [(item.seed, item.index) for item in items] == [(0, 0), (0, 1), (0, 2)]
    with pytest.raises(BadAnswer):
        asked(
            httpx.Response(200, headers=headers, content=npy(vectors[:2])), model_document(kind="vector"), 3
        )


def split(n: int, **how: Any) -> tuple[list[Mapping[str, Any]], Any]:
    bodies: list[Mapping[str, Any]] = []

    def generate(request: httpx.Request, body: Mapping[str, Any]) -> httpx.Response:
        bodies.append(body)
        if "latents" in body:
            files = {f"{k}.npy": WHITE for k in range(len(body["latents"]))}
            return zipped([fact(0)] * len(files), files)
        return drawn(body)

    with Client(transport=service(generate, model_document(limit=10))) as client:
        return bodies, client.generate(n, **how) if n else client.generate(**how)


@given(st.integers(1, 45), st.integers(0, 1000))
def test_more_than_the_limit_is_drawn_in_parts_that_make_the_whole(n: int, index: int) -> None:
    bodies, items = split(n, seed=5, index=index)
    assert [item.index for item in items] == list(range(index, index + n))
    assert (items.array[:, 0, 0, 0] == np.arange(index, index + n) % 256).all()
    assert sum(body["n"] for body in bodies) == n
    assert all(1 <= body["n"] <= 10 for body in bodies)


def test_lists_are_divided_with_their_images() -> None:
    labels = [f"l{k}" for k in range(23)]
    bodies, _ = split(23, class_label=labels)
    assert [body["class_label"] for body in bodies] == [labels[:10], labels[10:20], labels[20:]]
    bodies, items = split(0, latents=[L(3, range(12)), L(4)], class_label=np.arange(13))
    assert [len(body["latents"]) for body in bodies] == [10, 3]
    assert [body["class_label"] for body in bodies] == [[*range(10)], [10, 11, 12]]
    assert len(items) == 13
    with pytest.raises(Misuse, match="3 labels"):
        split(23, class_label=["a", "b", "c"])


def test_a_model_that_changes_between_the_parts_is_not_mixed() -> None:
    def generate(request: httpx.Request, body: Mapping[str, Any]) -> httpx.Response:
        answer = drawn(body)
        if body["index"] > 0:
            answer.headers["X-Model-Digest"] = "sha256:" + "1" * 64
        return answer

    transport = service(generate, model_document(limit=10))
    with Client(transport=transport) as client, pytest.raises(ChangedModel):
        client.generate(20, seed=0)


def test_a_model_that_has_changed_is_looked_at_anew() -> None:
    """The client remembers what a model is; when an answer comes of another one, it forgets."""
    seen: list[httpx.Request] = []

    def generate(request: httpx.Request, body: Mapping[str, Any]) -> httpx.Response:
        answer = zipped([fact(0)], {"0.npy": npy(np.zeros((5, 5, 3), np.uint8))})
        answer.headers["X-Model-Digest"] = "sha256:" + "1" * 64
        return answer

    with Client(transport=service(generate, seen=seen)) as client:
        assert client.generate(1).array.shape == (1, 5, 5, 3)
        client.generate(1)
    assert [request.url.path for request in seen] == ["/models", "/generate"] * 2


def streamed(text: str, headers: Mapping[str, str] = ORIGIN) -> list[Item]:
    form = {**headers, "content-type": "text/event-stream"}
    answer = httpx.Response(200, headers=form, content=text.encode())
    with Client(transport=service(lambda request, body: answer)) as client:
        return list(client.stream(2, seed=0))


def image_event(index: int, **other: object) -> str:
    told = {**fact(index, **other), "b64_json": b64encode(WHITE).decode()}
    return f"event: image\ndata: {json.dumps(told, ensure_ascii=False)}\n\n"


DONE = "event: done\ndata: {}\n\n"


def test_a_stream_yields_what_comes_until_it_is_done() -> None:
    items = streamed(": a comment\n\n" + image_event(0) + image_event(1) + DONE)
    assert [item.index for item in items] == [0, 1]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_a_stream_may_come_in_any_pieces(sizes: list[int]) -> None:
    """Also where a name holds what some take for the end of a line."""
    label = {"index": 0, "name": "a\u2028b", "weights": None}
    text = (image_event(0, class_label=label) + image_event(1) + DONE).encode()
    events, items, place = Events(httpx.Response(200, headers=ORIGIN), None), [], 0
    for size in [*sizes, len(text)]:
        items += events.items_in(text[place : place + size])
        place += size
    assert [item.index for item in items] == [0, 1]
    assert items[0].label.name == "a\u2028b"
    assert events.is_done


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (image_event(0), ConnectionFailed),
        ("", ConnectionFailed),
        ("event: image\ndata: {}\n\n", BadAnswer),
        ("event: image\ndata: {\n\n", BadAnswer),
        ("event: image\n\n", BadAnswer),
        ("event: image\ndata: []\n\n", BadAnswer),
        ('event: error\ndata: {"type": "/problems/model-output", "status": 500}\n\n', "ModelOutput"),
    ],
)
def test_a_stream_that_ends_otherwise_says_so(text: str, error: type[Exception] | str) -> None:
    from forger import errors

    with pytest.raises(getattr(errors, error) if isinstance(error, str) else error):
        streamed(text)


@pytest.mark.parametrize("value", [float("nan"), object(), "\ud800", float("inf")])
def test_what_json_has_no_word_for_is_not_sent(value: object) -> None:
    def nothing(request: httpx.Request, body: object) -> httpx.Response:
        raise AssertionError("it was sent")

    with Client(transport=service(nothing)) as client, pytest.raises(Misuse):
        client.generate(1, class_label=value)  # type: ignore[arg-type]


BODIES: list[Callable[[Client], object]] = [
    lambda client: client.generate(1.5),  # type: ignore[arg-type]
    lambda client: client.generate(1, seed="one"),  # type: ignore[typeddict-item]
    lambda client: client.generate(1, seed=1, latents=L(1)),
    lambda client: client.generate(1, truncation=0.7),  # type: ignore[typeddict-item]
    lambda client: client.arithmetic(L(1), jitter=1.5),  # type: ignore[typeddict-item]
    lambda client: client.interpolate([L(1, [1, 2]), L(2)]),
]


@pytest.mark.parametrize("call", BODIES)
def test_what_cannot_be_meant_is_not_sent(call: Callable[[Client], object]) -> None:
    def nothing(request: httpx.Request, body: object) -> httpx.Response:
        raise AssertionError("it was sent")

    with Client(transport=service(nothing)) as client, pytest.raises(Misuse):
        call(client)
