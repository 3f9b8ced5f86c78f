"""What both clients share: the API's operations as plans.

A plan is a generator that yields calls and is sent what they returned. The clients differ in how they carry
a call out; what is called, and what becomes of it, is written once, here.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from forger import requests
from forger.errors import ChangedModel, Misuse
from forger.latents import L, Sum, as_sum, whole
from forger.models import Model
from forger.options import Adding, Common, Sampling, Walking
from forger.recipes import Replay, body_of, largest_difference, recipe_in
from forger.requests import Call, Truncation
from forger.results import Drawn, Item, Walk
from forger.retries import PATIENT, Retries
from forger.version import VERSION

T = TypeVar("T")
Plan = Generator[Call[Any], Any, T]

DEFAULT_URL = "http://127.0.0.1:3000"
MOST_SEEDS = 2**53
_AGENT = f"forger-client/{VERSION}"


class Core:
    """The address, the key, and the plans."""

    def __init__(self, url: str | None, api_key: str | None, retries: Retries | None) -> None:
        self.url = _address(url or os.environ.get("FORGER_URL") or DEFAULT_URL)
        self._key = _sound_key(api_key or os.environ.get("FORGER_API_KEY"))
        self.retries = retries or Retries()
        self.bulk_retries = retries or PATIENT
        self._models: dict[str | None, Model] = {}

    def request(self, call: Call[Any]) -> httpx.Request:
        """Return the request of a call. It may be sent any number of times."""
        headers = {"Accept": call.accept, "User-Agent": _AGENT, "X-Request-Id": secrets.token_hex(16)}
        content = call.content()
        if content is not None:
            headers["Content-Type"] = requests.JSON
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        return httpx.Request(
            call.method, self.url + call.path, params=call.query or None, headers=headers, content=content
        )

    def models(self) -> Plan[list[Model]]:
        """Return the current version of every model."""
        listed: list[Model] = yield requests.models()
        return listed

    def model(self, reference: str | None) -> Plan[Model]:
        """Return one model; the service's default if None."""
        if reference is None:
            for one in (yield requests.models()):
                if one.is_default:
                    found: Model = one
                    break
            else:
                raise Misuse("the service has no default model: name one")
        else:
            found = yield requests.model(reference)
        self._models[reference] = found
        return found

    def generate(self, n: int | None, how: Sampling) -> Plan[Drawn]:
        """Draw images or vectors, in as many requests as the service's limit asks for."""
        of = yield from self._known(how.get("model"))
        items: list[Item] = []
        ids: list[str | None] = []
        for body in _parts(self.sampling_body(n, how), of.max_images):
            count = len(body["latents"]) if "latents" in body else body["n"]
            drawn, request_id = yield from self._draw("/generate", body, of, how, count)
            if items and drawn[0].origin != items[0].origin:
                raise ChangedModel(f"{of.name} became another model while {len(items)} images were drawn")
            items += drawn
            ids.append(request_id)
        return Drawn(items, ids[-1])

    def streams(self, n: int | None, how: Sampling) -> Plan[list[Call[None]]]:
        """Return the calls whose streams are together what :meth:`generate` draws."""
        of = yield from self._known(how.get("model"))
        return [requests.streaming(body) for body in _parts(self.sampling_body(n, how), of.max_images)]

    def arithmetic(self, of: Sum | L, how: Adding) -> Plan[Drawn]:
        """Draw a weighted sum of latents, with neighbours and terms if they are asked for."""
        body = {
            "terms": as_sum(of).document(),
            **_asked(how, "normalize", "include_terms", "return_latents", "jitter"),
            **_asked(how, "model", "class_label"),
            **requests.truncation_document(how.get("truncation")),
        }
        if "jitter" in body and not isinstance(body["jitter"], Mapping):
            body["jitter"] = {"n": whole(body["jitter"], "jitter")}
        model = yield from self._known(how.get("model"))
        return Drawn(*(yield from self._draw("/arithmetic", body, model, how)))

    def interpolate(self, keyframes: Sequence[L], how: Walking) -> Plan[Walk]:
        """Draw the frames of a path through keyframes."""
        shared = requests.truncation_document(how.get("truncation"))
        body = {
            "keyframes": [keyframe.keyframe() | shared for keyframe in keyframes],
            **_asked(how, "steps", "loop", "method", "model", "return_latents"),
        }
        model = yield from self._known(how.get("model"))
        items, request_id = yield from self._draw("/interpolate", body, model, how)
        return Walk(items, request_id, loop=how.get("loop", False))

    def sampling_body(self, n: int | None, how: Sampling) -> dict[str, Any]:
        """Return the body of ``POST /generate``."""
        body = _asked(how, "return_latents", "model", "class_label")
        body |= requests.truncation_document(how.get("truncation"))
        if (latents := how.get("latents")) is not None:
            if n is not None or how.get("seed") is not None or how.get("index"):
                raise Misuse("give latents, or n, seed and index, not both")
            return body | {"latents": requests.references(latents)}
        # The seed is drawn here, not by the service, so that a second attempt asks for the same images.
        seed = how.get("seed")
        return body | {
            "n": whole(1 if n is None else n, "n"),
            "seed": drawn_seed() if seed is None else whole(seed, "seed"),
            "index": whole(how.get("index") or 0, "index"),
        }

    def replay(self, path: str | Path) -> Plan[Replay]:
        """Draw a PNG's image again from its own recipe, and compare."""
        recipe = recipe_in(path)
        png, digest = yield Call("POST", "/generate", requests.png_with_digest, body_of(recipe), "image/png")
        return Replay(recipe, digest, largest_difference(path, png))

    def link(
        self,
        seed: int,
        index: int,
        model: str | None,
        class_label: int | str | None,
        truncation: Truncation | None,
        *,
        for_ever: bool,
    ) -> Plan[str]:
        """Return the address of one image."""
        of = yield from self._known(model)
        query: dict[str, str] = {}
        if class_label is not None:
            query["class"] = str(class_label)
        if truncation is not None:
            told = requests.truncation_document(truncation)["truncation"]
            query["truncation"] = f"{told['mode']}:{told['value']}"
        if for_ever:
            query["digest"] = of.digest
        place = quote(model or of.name, safe=":")
        path = f"/images/{place}/{whole(seed, 'seed')}/{whole(index, 'index')}.png"
        return str(httpx.URL(self.url + path, params=query or None))

    def _known(self, reference: str | None) -> Plan[Model]:
        return self._models.get(reference) or (yield from self.model(reference))

    def _draw(
        self, route: str, body: dict[str, Any], of: Model, how: Common, count: int | None = None
    ) -> Plan[tuple[list[Item], str | None]]:
        items, request_id = yield requests.drawing(route, body, of, count)
        if items and items[0].origin.digest != of.digest:
            self._models.pop(how.get("model"), None)  # it is another model by now, of other limits perhaps
        truncation = requests.truncation_document(how.get("truncation")).get("truncation")
        return [replace(item, truncation=truncation) for item in items], request_id


def _address(given: str) -> str:
    """Return a service's address without a slash at its end; raises ``Misuse``."""
    try:
        url = httpx.URL(given)
    except httpx.InvalidURL as error:
        raise Misuse(f"the address of a service is like {DEFAULT_URL}: {error}") from None
    if url.userinfo:
        raise Misuse("the address of a service holds no password: give the key as api_key or FORGER_API_KEY")
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise Misuse(f"the address of a service is like {DEFAULT_URL}, not {given!r}")
    return str(url).rstrip("/")


def _sound_key(key: str | None) -> str | None:
    """Return a key that fits into a header; raises ``Misuse``, which does not tell it."""
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise Misuse("the key holds what no key holds: a space, a line's end, or a letter that is not ASCII")
    return key or None


def _parts(body: dict[str, Any], most: int) -> Iterator[dict[str, Any]]:
    """Yield the bodies of at most ``most`` images each that draw together what one would."""
    latents: list[Any] | None = body.get("latents")
    count = body["n"] if latents is None else len(latents)
    labels = body.get("class_label")
    listed = None if labels is None or isinstance(labels, str | Mapping) else labels
    if listed is not None and not hasattr(listed, "__len__"):
        listed = None
    if count <= most:
        yield body
        return
    if listed is not None and len(listed) != count:
        raise Misuse(f"class_label lists {len(listed)} labels, and there are {count} images")
    for first in range(0, count, most):
        here = slice(first, min(count, first + most))
        part = dict(body)
        if latents is None:
            part |= {"index": body["index"] + first, "n": here.stop - first}
        else:
            part["latents"] = latents[here]
        if listed is not None:
            part["class_label"] = listed[here]
        yield part


def _asked(how: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return those of the options that were given."""
    return {name: how[name] for name in names if how.get(name) is not None}


def drawn_seed() -> int:
    """Return a random seed, 0 to 2**53 - 1."""
    return secrets.randbelow(MOST_SEEDS)


def one(call: Call[T]) -> Plan[T]:
    """Return the plan of a single call."""
    answer: T = yield call
    return answer
