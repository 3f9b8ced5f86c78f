"""For the operator: how every version stands, and the commands to load, unload, pin and roll back.

They are there only where keys are asked for. Each is carried out on a thread: requests for images go on. What
loads waits for its turn here, not on threads that others need; a rollback waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict

import orjson
from starlette.requests import Request
from starlette.responses import Response

from contract.layout import parse_version
from service.errors import InputFault, InvalidInput
from service.http.body import BodyMemory, parse_json, read_body
from service.http.exchange import exchange_of
from service.http.query import named_model, parameters, wrong_parameter
from service.models.administration import Standing
from service.runtime import Runtime

_MOST_BODY_BYTES = 1024
_BODIES = BodyMemory(_MOST_BODY_BYTES)


class AdminEndpoints:
    """The commands of :class:`service.models.administration.Administration`, over HTTP."""

    def __init__(self, runtime: Runtime) -> None:
        self._commands = runtime.administration
        self._loading = asyncio.Lock()

    async def models(self, request: Request) -> Response:
        """``GET /admin/models``: every version in the directory of models, and why one is not served."""
        parameters(request, ())
        return _json({"data": await self._carry_out(self._commands.standings)})

    async def reload(self, request: Request) -> Response:
        """``POST /admin/reload``: look at the directory now."""
        parameters(request, ())
        await _no_body(request)
        async with self._loading:
            return _json({"data": await self._carry_out(self._commands.reload)})

    async def load(self, request: Request) -> Response:
        """``POST /admin/models/{name}/load``: serve a version, also one that was unloaded."""
        name, version = await _named(request)
        async with self._loading:
            return await self._answer(lambda: self._commands.load(name, _required(version)))

    async def unload(self, request: Request) -> Response:
        """``POST /admin/models/{name}/unload``: serve a version no more."""
        name, version = await _named(request)
        async with self._loading:
            return await self._answer(lambda: self._commands.unload(name, _required(version)))

    async def pin(self, request: Request) -> Response:
        """``POST /admin/models/{name}/pin``: keep a version current, or the one that is."""
        name, version = await _named(request)
        return await self._answer(lambda: self._commands.pin(name, version))

    async def unpin(self, request: Request) -> Response:
        """``POST /admin/models/{name}/unpin``: let the highest version be current."""
        name = await _bare_name(request)
        return await self._answer(lambda: self._commands.unpin(name))

    async def rollback(self, request: Request) -> Response:
        """``POST /admin/models/{name}/rollback``: pin the version before the current one."""
        name = await _bare_name(request)
        return await self._answer(lambda: self._commands.rollback(name))

    async def _answer(self, command: Callable[[], Standing]) -> Response:
        standing = await self._carry_out(lambda: [command()])
        return _json(standing[0])

    async def _carry_out(self, command: Callable[[], list[Standing]]) -> list[dict[str, object]]:
        """Carry a command out to its end, also if its client leaves: half of one there is not."""
        return [asdict(one) for one in await asyncio.to_thread(command)]


async def _named(request: Request) -> tuple[str, int | None]:
    """Return the model and the version that a path such as ``mnist:2``, or ``?version=2``, names."""
    reference = named_model(request.path_params["name"], parameters(request, ("version",)))
    await _no_body(request)
    name, colon, spelled = reference.partition(":")
    version = parse_version(spelled)
    if colon and version is None:
        raise wrong_parameter("name", "name: a version is a whole number, 1 or more, as in mnist:2")
    return name, version


async def _bare_name(request: Request) -> str:
    name, version = await _named(request)
    if version is not None:
        raise wrong_parameter("name", "name: must be that of a model without a version")
    return name


def _required(version: int | None) -> int:
    if version is None:
        raise wrong_parameter("version", "version: must be given, as mnist:2 in the path or as ?version=2")
    return version


async def _no_body(request: Request) -> None:
    length = exchange_of(request).headers.first(b"content-length")
    if parse_json(await read_body(request.receive, length, _MOST_BODY_BYTES, _BODIES)) != {}:
        raise InvalidInput([InputFault("#", "the body must be empty, or {}: the path says everything")])


def _json(document: object) -> Response:
    return Response(
        orjson.dumps(document), media_type="application/json", headers={"Cache-Control": "no-store"}
    )
