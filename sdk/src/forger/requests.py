"""The service's routes as calls: what is sent, in which form the answer is asked for, and how it is read."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote, unquote

import httpx
import numpy as np
from numpy.typing import NDArray

from forger.errors import BadAnswer, ForgerError, Misuse
from forger.latents import L
from forger.models import Model, Standing
from forger.results import Item, Label, Origin

T = TypeVar("T")

Truncation = tuple[str, float] | Mapping[str, Any]
"""``("threshold", 0.7)`` or ``("scale", 0.7)``, or the same as the API spells it."""

JSON, NPY, ZIP = "application/json", "application/x-npy", "application/zip"
EVENTS = "text/event-stream"


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how to read its answer."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    body: Mapping[str, Any] | None = None
    accept: str = JSON
    query: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> bytes | None:
        """Return the body as JSON; raises ``Misuse`` for what JSON has no word for."""
        if self.body is None:
            return None
        try:
            text = json.dumps(
                self.body, default=_plain, allow_nan=False, ensure_ascii=False, separators=(",", ":")
            )
            return text.encode()
        except (TypeError, ValueError) as error:
            raise Misuse(f"the request cannot be written as JSON: {error}") from error

    def result(self, response: httpx.Response) -> T:
        """Read an answer; raises ``BadAnswer`` for one that no Forger service gives, whatever it holds."""
        self.require_form(response)
        try:
            return self.read(response)
        except ForgerError:
            raise
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            raise BadAnswer(f"the answer from {response.url} cannot be read: {told}") from error

    def require_form(self, response: httpx.Response) -> None:
        """Raise ``BadAnswer`` unless an answer is of the one form that was asked for."""
        form = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not set(",;*") & set(self.accept) and form != self.accept:
            raise BadAnswer(f"{response.url} answered with {form or 'no media type'}, not {self.accept}")


def models() -> Call[list[Model]]:
    """Return the call for the current version of every model."""
    return Call(
        "GET", "/models", lambda response: [Model.read(document) for document in response.json()["data"]]
    )


def model(reference: str) -> Call[Model]:
    """Return the call for one model, by ``name`` or ``name:version``."""
    path, query = _model_path(reference)
    return Call("GET", path, lambda response: Model.read(response.json()), query=query)


def preview(reference: str) -> Call[bytes]:
    """Return the call for the picture of what a model draws."""
    path, query = _model_path(reference)
    return Call("GET", f"{path}/preview.png", lambda response: response.content, None, "image/png", query)


def standings() -> Call[list[Standing]]:
    """Return the call for how every version in the service's directory of models stands."""
    return Call("GET", "/admin/models", _standings_in)


def reload() -> Call[list[Standing]]:
    """Return the call that has the service look at its directory of models now."""
    return Call("POST", "/admin/reload", _standings_in)


def command(word: str, name: str, version: str | None = None) -> Call[Standing]:
    """Return the call of an operator's command to a model, or to one version of it."""
    path = f"/admin/models/{quote(name, safe='')}/{word}"
    query = {} if version is None else {"version": version}
    return Call("POST", path, lambda response: Standing.read(response.json()), query=query)


def drawing(
    route: str, body: Mapping[str, Any], of: Model, count: int | None = None
) -> Call[tuple[list[Item], str | None]]:
    """Return the call that draws ``body`` as items, and the id of the request.

    ``count`` is how many there must be, if that is known. Images come as arrays with their facts in an
    archive, vectors that are known by their seed as one array, and other vectors, which have facts of their
    own, as JSON.
    """
    read: Callable[[httpx.Response, Mapping[str, Any]], list[Item]] = _read_archive
    form = ZIP
    sent = dict(body)
    if of.draws_images:
        sent["output_format"] = "npy"
    elif "seed" in body and of.classes is None and not body.get("return_latents"):
        read, form = _read_vectors, NPY
    else:
        read, form = _read_document, JSON

    def read_all(response: httpx.Response) -> tuple[list[Item], str | None]:
        items = read(response, body)
        if count is not None and len(items) != count:
            raise BadAnswer(f"{count} items were asked for, and {len(items)} came from {response.url}")
        for item in items:
            _require_shape(item, of)
        return items, response.headers.get("x-request-id")

    return Call("POST", route, read_all, sent, form)


def content(route: str, accept: str, body: Mapping[str, Any]) -> Call[bytes]:
    """Return the call for an answer of a route that draws, as it comes."""
    return Call("POST", route, lambda response: response.content, body, accept)


def streaming(body: Mapping[str, Any]) -> Call[None]:
    """Return the call for a stream of what ``body`` draws; of vectors, arrays are numbers."""
    return Call("POST", "/generate", lambda _response: None, {**body, "output_format": "npy"}, EVENTS)


def png_with_digest(response: httpx.Response) -> tuple[bytes, str]:
    """Read an image, and the digest of the model that drew it."""
    return response.content, origin_of(response).digest


def truncation_document(truncation: Truncation | None) -> dict[str, Any]:
    """Return the field ``truncation`` of a body, or nothing."""
    if truncation is None:
        return {}
    if isinstance(truncation, Mapping):
        return {"truncation": dict(truncation)}
    try:
        mode, value = truncation
    except (TypeError, ValueError):
        raise Misuse(f"a truncation names its mode, like ('threshold', 0.7), not {truncation!r}") from None
    return {"truncation": {"mode": mode, "value": value}}


def references(latents: L | Sequence[L]) -> list[dict[str, Any]]:
    """Return the field ``latents`` of a body."""
    listed = [latents] if isinstance(latents, L) else latents
    return [reference for one in listed for reference in one.references]


def origin_of(response: httpx.Response) -> Origin:
    """Return the model that an answer's headers name."""
    try:
        headers = response.headers
        return Origin(headers["x-model"], int(headers["x-model-version"]), headers["x-model-digest"])
    except (KeyError, ValueError) as error:
        raise BadAnswer(f"the answer from {response.url} names no model") from error


def array_of(content: bytes) -> NDArray[Any]:
    """Return the array in an NPY file. Nothing in it is unpickled."""
    array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise BadAnswer("the answer holds no array")
    return array


def item_of(fact: Mapping[str, Any], array: NDArray[Any], origin: Origin) -> Item:
    """Return an image, or vector, with what the service says of it."""
    label, latent = fact["class_label"], fact["latent_b64"]
    return Item(
        array=array,
        origin=origin,
        role=fact["role"],
        seed=fact["seed"],
        index=fact["index"],
        label=None if label is None else Label(label["index"], label["name"], label["weights"]),
        latent=None if latent is None else np.frombuffer(base64.b64decode(latent), "<f4"),
    )


def _plain(value: object) -> object:
    """Return numpy's numbers and arrays as JSON's."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{value!r} is neither a number, a text nor a list")


def _model_path(reference: str) -> tuple[str, dict[str, str]]:
    name, _, version = reference.partition(":")
    return f"/models/{quote(name, safe='')}", {"version": version} if version else {}


def _standings_in(response: httpx.Response) -> list[Standing]:
    return [Standing.read(document) for document in response.json()["data"]]


def _read_archive(response: httpx.Response, _body: Mapping[str, Any]) -> list[Item]:
    origin = origin_of(response)
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        facts = [json.loads(line) for line in archive.read("manifest.jsonl").splitlines()]
        files = [name for name in archive.namelist() if name.endswith(".npy")]
        return [
            item_of(fact, array_of(archive.read(name)), origin)
            for fact, name in zip(facts, files, strict=True)
        ]


def _read_vectors(response: httpx.Response, body: Mapping[str, Any]) -> list[Item]:
    origin = origin_of(response)
    first = body.get("index", 0)
    vectors = array_of(response.content)
    return [
        Item(vector, origin, seed=body["seed"], index=first + place) for place, vector in enumerate(vectors)
    ]


def _read_document(response: httpx.Response, _body: Mapping[str, Any]) -> list[Item]:
    document = response.json()
    origin = Origin(document["model"], document["version"], document["model_digest"])
    return [item_of(fact, np.array(fact["values"], np.float32), origin) for fact in document["data"]]


def _require_shape(item: Item, of: Model) -> None:
    """Raise ``BadAnswer`` for an array that the model does not draw, unless it has become another one."""
    dtype = np.dtype(np.uint8 if of.draws_images else np.float32)
    if item.origin.digest == of.digest and (item.array.shape, item.array.dtype) != (of.output_shape, dtype):
        raise BadAnswer(
            f"{of.name} draws {list(of.output_shape)}, and {item.array.dtype} {list(item.array.shape)} came"
        )


def labels_in(response: httpx.Response, classes: Sequence[str], count: int) -> NDArray[np.int64] | None:
    """Return the class of each image by an answer's headers, int64 ``[count]``; None if they do not tell."""
    listed = response.headers.get("x-class-indices")
    if listed is not None:
        return np.array([int(one) for one in listed.split(",")], np.int64)
    name = unquote(response.headers.get("x-class-label", ""))
    return np.full(count, classes.index(name), np.int64) if name in classes else None
