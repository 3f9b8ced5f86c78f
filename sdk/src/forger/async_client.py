"""The client that awaits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from forger import requests
from forger.admin import AsyncAdmin
from forger.bulk.run import Report, run_bulk
from forger.core import Core, Plan, one
from forger.events import Events, broken_off
from forger.latents import L, Sum
from forger.models import Model
from forger.options import Adding, Bulk, Sampling, Walking
from forger.recipes import Replay
from forger.requests import Call, Truncation, truncation_document
from forger.results import Drawn, Item, Walk
from forger.retries import Pause, Retries, Send, until_answered
from forger.transport import LIMITS, timeouts

T = TypeVar("T")


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
        self._take(Core(url, api_key, retries), transport)

    @classmethod
    def over(cls, core: Core, transport: httpx.AsyncBaseTransport | None) -> Self:
        """Return a client of the same service, with the same key and retries."""
        client = object.__new__(cls)
        client._take(core, transport)
        return client

    def _take(self, core: Core, transport: httpx.AsyncBaseTransport | None) -> None:
        self._core = core
        self._http = httpx.AsyncClient(
            transport=transport, limits=LIMITS, follow_redirects=False, trust_env=transport is None
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @property
    def admin(self) -> AsyncAdmin:
        """What an operator may ask: see :attr:`forger.Client.admin`."""
        return AsyncAdmin(self._carry_out)

    async def models(self) -> list[Model]:
        """Return the current version of every model that the service has."""
        return await self._carry_out(self._core.models())

    async def model(self, reference: str | None = None) -> Model:
        """Return what the service says of a model, ``name`` or ``name:version``; of its default if None."""
        return await self._carry_out(self._core.model(reference))

    async def generate(self, n: int | None = None, **how: Unpack[Sampling]) -> Drawn:
        """Draw images or vectors: see :meth:`forger.Client.generate`."""
        return await self._carry_out(self._core.generate(n, how))

    async def stream(self, n: int | None = None, **how: Unpack[Sampling]) -> AsyncIterator[Item]:
        """Yield images as they are drawn: see :meth:`forger.Client.stream`."""
        truncation = truncation_document(how.get("truncation")).get("truncation")
        for call in await self._carry_out(self._core.streams(n, how)):
            async for item in self._streamed(call, truncation):
                yield item

    async def _streamed(self, call: Call[None], truncation: Mapping[str, Any] | None) -> AsyncIterator[Item]:
        response = await self._answer(call, self._core.retries, whole=False)
        try:
            call.require_form(response)
            events = Events(response, truncation)
            async for piece in response.aiter_bytes():
                for item in events.items_in(piece):
                    yield item
        except httpx.HTTPError as error:
            raise broken_off(response, error) from error
        finally:
            await response.aclose()
        if not events.is_done:
            raise broken_off(response, None)

    async def arithmetic(self, of: Sum | L, **how: Unpack[Adding]) -> Drawn:
        """Draw a weighted sum of latents: see :meth:`forger.Client.arithmetic`."""
        return await self._carry_out(self._core.arithmetic(of, how))

    async def interpolate(self, keyframes: Sequence[L], **how: Unpack[Walking]) -> Walk:
        """Draw a path through latents: see :meth:`forger.Client.interpolate`."""
        return await self._carry_out(self._core.interpolate(keyframes, how))

    async def bulk(self, n: int, **how: Unpack[Bulk]) -> Report:
        """Draw many images into files: see :meth:`forger.Client.bulk`."""
        described = await self.model(how.get("model"))
        return await run_bulk(described, self._carried_out_patiently, n, how)

    async def file(self, route: str, body: Mapping[str, Any], accept: str) -> bytes:
        """Return what a route that draws answers: see :meth:`forger.Client.file`."""
        return await self._carry_out(one(requests.content(route, accept, body)))

    async def replay(self, path: str | Path) -> Replay:
        """Draw a PNG's image again and compare: see :meth:`forger.Client.replay`."""
        return await self._carry_out(self._core.replay(path))

    async def link(
        self,
        seed: int,
        index: int = 0,
        *,
        model: str | None = None,
        class_label: int | str | None = None,
        truncation: Truncation | None = None,
        for_ever: bool = False,
    ) -> str:
        """Return the address of one image: see :meth:`forger.Client.link`."""
        plan = self._core.link(seed, index, model, class_label, truncation, for_ever=for_ever)
        return await self._carry_out(plan)

    async def preview(self, model: str) -> bytes:
        """Return the picture of what a model, ``name`` or ``name:version``, draws: a PNG."""
        return await self._carry_out(one(requests.preview(model)))

    async def is_ready(self) -> bool:
        """Tell whether the service answers and takes work, without trying twice."""
        try:
            return (await self._http.get(f"{self._core.url}/readyz", timeout=5.0)).status_code == 200
        except httpx.TransportError:
            return False

    async def _carry_out(self, plan: Plan[T]) -> T:
        returned: Any = None
        while True:
            try:
                call = plan.send(returned)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            returned = call.result(await self._answer(call, self._core.retries))

    async def _carried_out_patiently(self, call: Call[T], refused: Callable[[], None]) -> T:
        """Carry a call of a bulk run out; ``refused`` is called whenever the service was too busy for it."""
        return call.result(await self._answer(call, self._core.bulk_retries, refused))

    async def _answer(
        self,
        call: Call[Any],
        retries: Retries,
        refused: Callable[[], None] = lambda: None,
        *,
        whole: bool = True,
    ) -> httpx.Response:
        """Carry a call out, and return its answer as it comes; if not ``whole``, still to be read."""
        flow = until_answered(self._core.request(call), retries, time.monotonic, refused)
        outcome: httpx.Response | httpx.HTTPError | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                outcome = None
            else:
                outcome = await self._sent(step, whole=whole)

    async def _sent(self, step: Send, *, whole: bool) -> httpx.Response | httpx.HTTPError:
        step.request.extensions["timeout"] = timeouts(step.timeout_s)
        try:
            async with asyncio.timeout(step.timeout_s):
                response = await self._http.send(step.request, stream=not whole)
                if not whole and response.status_code >= 300:
                    await response.aread()
        except httpx.HTTPError as error:
            return error
        except TimeoutError:
            return httpx.ReadTimeout(f"it took longer than {step.timeout_s:.3g} s", request=step.request)
        return response
