"""The service's routes as calls: what is sent, in which form the answer is asked for, and how it is read."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote, unquote

import httpx
import numpy as np
from numpy.typing import NDArray

from forger.errors import BadAnswer, Misuse
from forger.latents import L
from forger.models import Model
from forger.results import Item, Label, Origin

T = TypeVar("T")

Truncation = tuple[str, float] | Mapping[str, Any]
"""``("threshold", 0.7)`` or ``("scale", 0.7)``, or the same as the API spells it."""

JSON, NPY, ZIP = "application/json", "application/x-npy", "application/zip"


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how to read its answer."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    body: Mapping[str, Any] | None = None
    accept: str = JSON
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def models() -> Call[list[Model]]:
    """Return the call for the current version of every model."""

    def read(response: httpx.Response) -> list[Model]:
        return [Model.read(document) for document in _json(response)["data"]]

    return Call("GET", "/models", read)


def model(reference: str) -> Call[Model]:
    """Return the call for one model, by ``name`` or ``name:version``."""
    name, _, version = reference.partition(":")
    return Call(
        "GET",
        f"/models/{quote(name, safe='')}",
        lambda response: Model.read(_json(response)),
        query={"version": version} if version else {},
    )


def drawing(route: str, body: Mapping[str, Any], of: Model) -> Call[tuple[list[Item], str | None]]:
    """Return the call that draws ``body`` as items, and the id of the request.

    Images come as arrays with their facts in an archive, vectors as one array: neither as base64.
    """
    if of.draws_images:
        return Call("POST", route, _read_archive, {**body, "output_format": "npy"}, ZIP)
    return Call("POST", route, lambda response: _read_vectors(response, body), body, NPY)


def content(
    method: str, path: str, accept: str, body: Mapping[str, Any] | None = None, **query: str | None
) -> Call[bytes]:
    """Return the call for an answer as it comes."""
    given = {name: value for name, value in query.items() if value is not None}
    return Call(method, path, lambda response: response.content, body, accept, given)


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
    """Return the array in an NPY file; raises ``BadAnswer``. Nothing in it is unpickled."""
    try:
        return np.load(io.BytesIO(content), allow_pickle=False)  # type: ignore[no-any-return]
    except (ValueError, EOFError, OSError) as error:
        raise BadAnswer(f"the answer holds no array: {error}") from error


def request_id_of(response: httpx.Response) -> str | None:
    """Return the request's name in the service's log."""
    name: str | None = response.headers.get("x-request-id")
    return name


def _json(response: httpx.Response) -> Any:  # noqa: ANN401 - any document
    try:
        return response.json()
    except ValueError as error:
        raise BadAnswer(f"the answer from {response.url} is not JSON") from error


def _read_archive(response: httpx.Response) -> tuple[list[Item], str | None]:
    origin = origin_of(response)
    try:
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            lines = archive.read("manifest.jsonl").splitlines()
            files = [name for name in archive.namelist() if name.endswith(".npy")]
            arrays = [array_of(archive.read(name)) for name in files]
        facts = [json.loads(line) for line in lines]
        pairs = zip(facts, arrays, strict=True)
        return [_item(fact, array, origin) for fact, array in pairs], request_id_of(response)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BadAnswer(f"the archive from {response.url} cannot be read: {error}") from error


def _item(fact: Mapping[str, Any], array: NDArray[Any], origin: Origin) -> Item:
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


def _read_vectors(response: httpx.Response, body: Mapping[str, Any]) -> tuple[list[Item], str | None]:
    return list(_vectors(response, body)), request_id_of(response)


def _vectors(response: httpx.Response, body: Mapping[str, Any]) -> Iterator[Item]:
    """Yield a model's vectors; of many, JSON would take longer than drawing them."""
    origin, array = origin_of(response), array_of(response.content)
    name = response.headers.get("x-class-label")
    label = None if name is None else Label(None, unquote(name))
    first = body.get("index", 0)
    for place, vector in enumerate(array):
        index = first + place if "seed" in body else None
        yield Item(vector, origin, seed=body.get("seed"), index=index, label=label)
