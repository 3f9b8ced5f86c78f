"""From an endpoint's exception to its problem response: nothing an endpoint raises goes further."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from service.errors import ForgerError
from service.http.exchange import Exchange, exchange_of
from service.http.problems import problem_of, problem_response

logger = logging.getLogger("forger.http")

Endpoint = Callable[[Request], Awaitable[Response]]


async def answer(endpoint: Endpoint, request: Request) -> Response:
    """Return the endpoint's response, or the problem that its exception means."""
    try:
        return await endpoint(request)
    except Exception as error:  # noqa: BLE001 - the one place where every error becomes an answer
        return refuse(error, request)


def refuse(error: Exception, request: Request) -> Response:
    """Return the problem response of an error, which is put on record."""
    record(error, request)
    return problem_response(error, request)


def record(error: Exception, request: Request) -> None:
    """Note the problem for the metrics; what is not of the domain is logged with its cause."""
    exchange = exchange_of(request)
    problem = problem_of(error)
    exchange.problem_slug = problem.slug
    if exchange.journey is not None:
        exchange.journey.failed(error)
    if not isinstance(error, ForgerError):
        logger.error("request %s failed unexpectedly", exchange.name, exc_info=error, extra=_told(exchange))
    elif problem.status == 500:
        told = _told(exchange)
        logger.warning("request %s: %s: %s", exchange.name, problem.slug, error, extra=told)


def _told(exchange: Exchange) -> dict[str, object]:
    """Return what a line of the log says of a request beside its sentence."""
    facts = {"request_id": exchange.request_id, "trace_id": exchange.trace_id, "route": exchange.route}
    return {"event": "request-failed", "facts": facts}
