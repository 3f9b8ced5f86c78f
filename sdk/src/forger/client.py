"""The client that blocks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from forger import requests
from forger.async_client import AsyncClient
from forger.bulk.run import Report
from forger.core import Core, Plan, one
from forger.latents import L, Sum
from forger.models import Model
from forger.options import Adding, Bulk, Sampling, Walking
from forger.recipes import Replay, body_of, largest_difference, recipe_in
from forger.requests import Call
from forger.results import Drawn, Walk
from forger.retries import Pause, Retries, until_answered

T = TypeVar("T")


class Client:
    """A Forger service.

    >>> with Client("http://localhost:3000") as client:
    ...     client.generate(n=16, class_label="three").grid().save("threes.png")

    ``url`` is FORGER_URL, or http://127.0.0.1:3000; ``api_key`` FORGER_API_KEY, or none. Connections are kept
    and used again: keep the client, too, and close it, or use it in a ``with`` statement. ``transport`` takes
    the network's place, in tests.

    Every method raises the errors of :mod:`forger.errors`, after trying again what may succeed (``retries``).
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._core = Core(url, api_key, retries or Retries())
        self._http = httpx.Client(transport=transport, follow_redirects=False, trust_env=transport is None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def models(self) -> list[Model]:
        """Return the current version of every model that the service has."""
        return self._carry_out(self._core.models())

    def model(self, reference: str | None = None) -> Model:
        """Return what the service says of a model, ``name`` or ``name:version``; of its default if None."""
        return self._carry_out(self._core.model(reference))

    def generate(self, n: int | None = None, **how: Unpack[Sampling]) -> Drawn:
        """Draw images ``index`` to ``index + n - 1`` of a seed, or the images of ``latents``.

        >>> client.generate(16, seed=42, class_label="three", truncation=("threshold", 0.7))

        The options are those of :class:`forger.options.Sampling`. Without a seed a random one is taken; each
        image tells its own. The same arguments draw the same images, to the last bit, of the same model.
        """
        return self._carry_out(self._core.generate(n, how))

    def arithmetic(self, of: Sum | L, **how: Unpack[Adding]) -> Drawn:
        """Draw a weighted sum of latents.

        >>> client.arithmetic(L(42, [0, 3, 7]) - L(9, [1, 2, 4]) + L(5, [0, 1, 2]), class_label=8, jitter=8)

        The first item is the result; then come ``jitter`` of its neighbours, and with ``include_terms`` each
        term by itself. The options are those of :class:`forger.options.Adding`.
        """
        return self._carry_out(self._core.arithmetic(of, how))

    def interpolate(self, keyframes: Sequence[L], **how: Unpack[Walking]) -> Walk:
        """Draw a path through latents: ``steps`` images from each keyframe to the next, with both of them.

        >>> walk = client.interpolate([L(1, class_label=1), L(2, class_label=7)], steps=30, loop=True)
        >>> walk.save("walk.webp")

        The options are those of :class:`forger.options.Walking`.
        """
        return self._carry_out(self._core.interpolate(keyframes, how))

    def bulk(self, n: int, **how: Unpack[Bulk]) -> Report:
        """Draw ``n`` images into files, several requests at once.

        >>> client.bulk(50_000, sink="npz:digits.npz", seed=0, class_label="balanced", resume=True)

        The options are those of :class:`forger.options.Bulk`. Memory is bounded whatever ``n`` is. A run that
        was interrupted, even by kill -9, goes on with ``resume=True`` and the same arguments, and its result
        is the same to the last byte. The report tells of images that could not be drawn. It runs an event
        loop of its own: inside of one, use :class:`forger.AsyncClient`.
        """

        async def run() -> Report:
            async with AsyncClient.over(self._core) as client:
                return await client.bulk(n, **how)

        return asyncio.run(run())

    def file(self, route: str, body: Mapping[str, Any], accept: str) -> bytes:
        """Return what a route that draws answers, in a form of its own: an encoded image, a grid, an archive.

        >>> client.file("/generate", {"n": 64, "seed": 1, "layout": "grid"}, "image/webp")
        """
        return self._carry_out(one(requests.content("POST", route, accept, body)))

    def replay(self, path: str | Path) -> Replay:
        """Draw a PNG's image again from the recipe that the file carries, and compare.

        The model must be served in the same version; the replay tells whether it is the very same one.
        """
        recipe = recipe_in(path)
        call = Call("POST", "/generate", requests.png_with_digest, body_of(recipe), "image/png")
        png, digest = self._carry_out(one(call))
        return Replay(recipe, digest, largest_difference(path, png))

    def preview(self, model: str) -> bytes:
        """Return the picture of what a model draws, a PNG."""
        return self._carry_out(one(requests.content("GET", f"/models/{model}/preview.png", "image/png")))

    def is_ready(self) -> bool:
        """Tell whether the service answers and takes work, without trying twice."""
        try:
            url = str(self._core.url).rstrip("/") + "/readyz"
            return self._http.get(url, timeout=5.0).status_code == 200
        except httpx.TransportError:
            return False

    def _carry_out(self, plan: Plan[T]) -> T:
        returned: Any = None
        while True:
            try:
                call = plan.send(returned)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            returned = call.read(self.answer(call))

    def answer(self, call: Call[Any]) -> httpx.Response:
        """Carry a call out, and return its answer as it comes."""
        flow = until_answered(self._core.request(call), self._core.retries, time.monotonic)
        outcome: httpx.Response | httpx.HTTPError | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                outcome = None
                continue
            step.request.extensions["timeout"] = httpx.Timeout(step.timeout_s).as_dict()
            try:
                outcome = self._http.send(step.request)
            except httpx.HTTPError as error:
                outcome = error
