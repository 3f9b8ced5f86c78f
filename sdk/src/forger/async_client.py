"""The client that awaits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from forger import requests
from forger.bulk.run import Report, run_bulk
from forger.core import Core, Plan, one
from forger.latents import L, Sum
from forger.models import Model
from forger.options import Adding, Bulk, Sampling, Walking
from forger.recipes import Replay, body_of, largest_difference, recipe_in
from forger.requests import Call
from forger.results import Drawn, Walk
from forger.retries import Pause, Retries, until_answered

T = TypeVar("T")


def _nothing() -> None:
    """Nobody wants to be told."""


class AsyncClient:
    """A Forger service, for code that awaits; otherwise the same as :class:`forger.Client`.

    >>> async with AsyncClient() as client:
    ...     drawn = await asyncio.gather(*(client.generate(64, seed=seed) for seed in range(8)))
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._core = Core(url, api_key, retries or Retries())
        self._http = httpx.AsyncClient(
            transport=transport, follow_redirects=False, trust_env=transport is None
        )

    @classmethod
    def over(cls, core: Core) -> Self:
        """Return a client of the same service, with the same key and retries."""
        client = cls(str(core.url), retries=core.retries)
        client._core = core
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def models(self) -> list[Model]:
        """Return the current version of every model that the service has."""
        return await self._carry_out(self._core.models())

    async def model(self, reference: str | None = None) -> Model:
        """Return what the service says of a model, ``name`` or ``name:version``; of its default if None."""
        return await self._carry_out(self._core.model(reference))

    async def generate(self, n: int | None = None, **how: Unpack[Sampling]) -> Drawn:
        """Draw images or vectors: see :meth:`forger.Client.generate`."""
        return await self._carry_out(self._core.generate(n, how))

    async def arithmetic(self, of: Sum | L, **how: Unpack[Adding]) -> Drawn:
        """Draw a weighted sum of latents: see :meth:`forger.Client.arithmetic`."""
        return await self._carry_out(self._core.arithmetic(of, how))

    async def interpolate(self, keyframes: Sequence[L], **how: Unpack[Walking]) -> Walk:
        """Draw a path through latents: see :meth:`forger.Client.interpolate`."""
        return await self._carry_out(self._core.interpolate(keyframes, how))

    async def bulk(self, n: int, **how: Unpack[Bulk]) -> Report:
        """Draw many images into files: see :meth:`forger.Client.bulk`."""
        return await run_bulk(self, n, how)

    async def file(self, route: str, body: Mapping[str, Any], accept: str) -> bytes:
        """Return what a route that draws answers: see :meth:`forger.Client.file`."""
        return await self._carry_out(one(requests.content("POST", route, accept, body)))

    async def replay(self, path: str | Path) -> Replay:
        """Draw a PNG's image again and compare: see :meth:`forger.Client.replay`."""
        recipe = recipe_in(path)
        call = Call("POST", "/generate", requests.png_with_digest, body_of(recipe), "image/png")
        png, digest = await self._carry_out(one(call))
        return Replay(recipe, digest, largest_difference(path, png))

    async def preview(self, model: str) -> bytes:
        """Return the picture of what a model draws, a PNG."""
        return await self._carry_out(
            one(requests.content("GET", f"/models/{model}/preview.png", "image/png"))
        )

    async def is_ready(self) -> bool:
        """Tell whether the service answers and takes work, without trying twice."""
        try:
            url = str(self._core.url).rstrip("/") + "/readyz"
            return (await self._http.get(url, timeout=5.0)).status_code == 200
        except httpx.TransportError:
            return False

    async def _carry_out(self, plan: Plan[T]) -> T:
        returned: Any = None
        while True:
            try:
                call = plan.send(returned)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            returned = await self.carried_out(call)

    async def carried_out(self, call: Call[T], refused: Callable[[], None] = _nothing) -> T:
        """Carry a call out; ``refused`` is called whenever the service was too busy for it."""
        return call.read(await self.answer(call, refused))

    async def answer(self, call: Call[Any], refused: Callable[[], None] = _nothing) -> httpx.Response:
        """Carry a call out, and return its answer as it comes."""
        flow = until_answered(self._core.request(call), self._core.retries, time.monotonic, refused)
        outcome: httpx.Response | httpx.HTTPError | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                outcome = None
                continue
            step.request.extensions["timeout"] = httpx.Timeout(step.timeout_s).as_dict()
            try:
                outcome = await self._http.send(step.request)
            except httpx.HTTPError as error:
                outcome = error
