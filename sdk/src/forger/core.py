"""What both clients share: the API's operations as plans.

A plan is a generator that yields calls and is sent what they returned. The clients differ in how they carry
a call out; what is called, and what becomes of it, is written once, here.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import httpx

from forger import requests
from forger.errors import Misuse
from forger.latents import L, Sum, as_sum
from forger.models import Model
from forger.options import Adding, Common, Sampling, Walking
from forger.requests import Call
from forger.results import Drawn, Item, Walk
from forger.retries import Retries

T = TypeVar("T")
Plan = Generator[Call[Any], Any, T]

DEFAULT_URL = "http://127.0.0.1:3000"
MOST_SEEDS = 2**53


class Core:
    """The address, the key, and the plans."""

    def __init__(self, url: str | None, api_key: str | None, retries: Retries) -> None:
        given = url or os.environ.get("FORGER_URL") or DEFAULT_URL
        self.url = httpx.URL(given)
        if self.url.scheme not in ("http", "https") or not self.url.host:
            raise Misuse(f"the address of a service is like {DEFAULT_URL}, not {given!r}")
        self._key = api_key or os.environ.get("FORGER_API_KEY")
        self.retries = retries
        self._models: dict[str | None, Model] = {}

    def request(self, call: Call[Any]) -> httpx.Request:
        """Return the request of a call. It may be sent any number of times."""
        base = str(self.url).rstrip("/")
        headers = {"Accept": call.accept, "X-Request-Id": secrets.token_hex(16), **call.headers}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        return httpx.Request(
            call.method, base + call.path, params=call.query or None, headers=headers, json=call.body
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
        """Draw images or vectors."""
        body = _asked(how, "return_latents")
        if (latents := how.get("latents")) is not None:
            if n is not None or how.get("seed") is not None or how.get("index"):
                raise Misuse("give latents, or n, seed and index, not both")
            body["latents"] = requests.references(latents)
        else:
            # The seed is drawn here, not by the service, so that a second attempt asks for the same images.
            body |= {"n": 1 if n is None else n, "seed": drawn_seed(), **_asked(how, "seed", "index")}
        items, request_id = yield from self._draw("/generate", body, how)
        return Drawn(items, request_id)

    def arithmetic(self, of: Sum | L, how: Adding) -> Plan[Drawn]:
        """Draw a weighted sum of latents, with neighbours and terms if they are asked for."""
        body = {
            "terms": as_sum(of).document(),
            **_asked(how, "normalize", "include_terms", "return_latents", "jitter"),
        }
        if isinstance(body.get("jitter"), int):
            body["jitter"] = {"n": body["jitter"]}
        items, request_id = yield from self._draw("/arithmetic", body, how)
        return Drawn(items, request_id)

    def interpolate(self, keyframes: Sequence[L], how: Walking) -> Plan[Walk]:
        """Draw the frames of a path through keyframes."""
        shared = requests.truncation_document(how.get("truncation"))
        body = {
            "keyframes": [keyframe.keyframe() | shared for keyframe in keyframes],
            **_asked(how, "steps", "loop", "method"),
        }
        items, request_id = yield from self._draw("/interpolate", body, how)
        return Walk(items, request_id, loop=how.get("loop", False))

    def _draw(self, route: str, body: dict[str, Any], how: Common) -> Plan[tuple[list[Item], str | None]]:
        of = self._models.get(how.get("model")) or (yield from self.model(how.get("model")))
        body |= _asked(how, "model", "class_label")
        truncation = requests.truncation_document(how.get("truncation"))
        if route != "/interpolate":  # there each keyframe has its own
            body |= truncation
        items, request_id = yield requests.drawing(route, body, of)
        return [replace(item, truncation=truncation.get("truncation")) for item in items], request_id


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
