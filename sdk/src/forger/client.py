"""The client that blocks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from forger import requests
from forger.admin import Admin
from forger.apart import run_apart
from forger.async_client import AsyncClient
from forger.bulk.run import Report
from forger.core import Core, Plan, one
from forger.events import Events, broken_off
from forger.latents import L, Sum
from forger.models import Model
from forger.options import Adding, Bulk, Sampling, Walking
from forger.recipes import Replay
from forger.requests import Call, Truncation, truncation_document
from forger.results import Drawn, Item, Walk
from forger.retries import Pause, Retries, Send, until_answered
from forger.transport import LIMITS, awaited, read_in_time, timeouts

T = TypeVar("T")


class Client:
    """A Forger service.

    >>> with Client("http://localhost:3000") as client:
    ...     client.generate(n=16, class_label="three").grid().save("threes.png")

    ``url`` is FORGER_URL, or http://127.0.0.1:3000; ``api_key`` FORGER_API_KEY, or none. Connections are kept
    and used again: keep the client, too, and close it, or use it in a ``with`` statement. It may be shared by
    threads. ``transport`` takes the network's place, in tests.

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
        self._core = Core(url, api_key, retries)
        self._transport = transport
        self._http = httpx.Client(
            transport=transport, limits=LIMITS, follow_redirects=False, trust_env=transport is None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def admin(self) -> Admin:
        """What an operator may ask: to load, unload and pin versions of models, and to go back."""
        return Admin(self._carry_out)

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
        image tells its own. The same arguments draw the same images, to the last bit, of the same model. More
        than the service draws at once are drawn by several requests, one after the other.
        """
        return self._carry_out(self._core.generate(n, how))

    def stream(self, n: int | None = None, **how: Unpack[Sampling]) -> Iterator[Item]:
        """Draw images as :meth:`generate` does, and yield each as soon as it is there.

        >>> for item in client.stream(64, seed=42):
        ...     item.save(f"{item.index}.png")

        Raises ``ConnectionFailed`` if the stream breaks off: what was yielded is good, and the rest has the
        indices that follow.
        """
        truncation = truncation_document(how.get("truncation")).get("truncation")
        for call in self._carry_out(self._core.streams(n, how)):
            yield from self._streamed(call, truncation)

    def _streamed(self, call: Call[None], truncation: Mapping[str, Any] | None) -> Iterator[Item]:
        response = self._answer(call, whole=False)
        try:
            call.require_form(response)
            events = Events(response, truncation)
            for piece in response.iter_bytes():
                yield from events.items_in(piece)
        except httpx.HTTPError as error:
            raise broken_off(response, error) from error
        finally:
            response.close()
        if not events.is_done:
            raise broken_off(response, None)

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
        is the same to the last byte. The report tells of images that could not be drawn: a run is finished
        once there are none, or with ``allow_missing=True`` without them. Each of its requests is tried for a
        quarter of an hour, unless the client was given ``retries``.
        """

        async def run() -> Report:
            async with AsyncClient.over(self._core, awaited(self._transport)) as client:
                return await client.bulk(n, **how)

        return run_apart(run)

    def file(self, route: str, body: Mapping[str, Any], accept: str) -> bytes:
        """Return what a route that draws answers, in a form of its own: an encoded image, a grid, an archive.

        >>> client.file("/generate", {"n": 64, "seed": 1, "layout": "grid"}, "image/webp")
        """
        return self._carry_out(one(requests.content(route, accept, body)))

    def replay(self, path: str | Path) -> Replay:
        """Draw a PNG's image again from the recipe that the file carries, and compare.

        The model must be served in the same version; the replay tells whether it is the very same one.
        """
        return self._carry_out(self._core.replay(path))

    def link(
        self,
        seed: int,
        index: int = 0,
        *,
        model: str | None = None,
        class_label: int | str | None = None,
        truncation: Truncation | None = None,
        for_ever: bool = False,
    ) -> str:
        """Return the address of one image, for a page or a message; with ``for_ever`` caches may keep it.

        Then it names the digest, and leads nowhere once the model is another one.
        """
        plan = self._core.link(seed, index, model, class_label, truncation, for_ever=for_ever)
        return self._carry_out(plan)

    def preview(self, model: str) -> bytes:
        """Return the picture of what a model, ``name`` or ``name:version``, draws: a PNG."""
        return self._carry_out(one(requests.preview(model)))

    def is_ready(self) -> bool:
        """Tell whether the service answers and takes work, without trying twice."""
        try:
            return self._http.get(f"{self._core.url}/readyz", timeout=5.0).status_code == 200
        except httpx.TransportError:
            return False

    def _carry_out(self, plan: Plan[T]) -> T:
        returned: Any = None
        while True:
            try:
                call = plan.send(returned)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            returned = call.result(self._answer(call))

    def _answer(self, call: Call[Any], *, whole: bool = True) -> httpx.Response:
        """Carry a call out, and return its answer as it comes; if not ``whole``, still to be read."""
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
            else:
                outcome = self._sent(step, whole=whole)

    def _sent(self, step: Send, *, whole: bool) -> httpx.Response | httpx.HTTPError:
        step.request.extensions["timeout"] = timeouts(step.timeout_s)
        end = time.monotonic() + step.timeout_s
        try:
            response = self._http.send(step.request, stream=True)
            if whole or response.status_code >= 300:
                response = read_in_time(response, end, time.monotonic)
        except httpx.HTTPError as error:
            return error
        return response
