"""Errors as ``application/problem+json`` (RFC 9457): one table from exception to status."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.errors import (
    BodyTooLarge,
    ClientLeft,
    DeadlineExceeded,
    Forbidden,
    ForgerError,
    HeadTooLarge,
    InvalidInput,
    MalformedBody,
    MalformedRequest,
    MethodNotAllowed,
    ModelConflict,
    ModelOutputFault,
    NotAcceptable,
    QueueFull,
    RateLimited,
    RequestTooSlow,
    StaleDigest,
    Unauthorized,
    Unavailable,
    UnknownModel,
    UnknownRoute,
    UnsupportedMediaType,
    UnusableModel,
)
from service.http.exchange import exchange_of
from service.http.whole import Whole

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Problem:
    """A kind of problem: its status, its slug under ``/problems/``, its title and a sentence of help."""

    status: int
    slug: str
    title: str
    help: str
    retry_after_s: int | None = None

    @property
    def type(self) -> str:
        """The problem's ``type``, a path of this service."""
        return f"/problems/{self.slug}"


PROBLEMS: dict[type[ForgerError], Problem] = {
    MalformedRequest: Problem(
        400,
        "malformed-request",
        "That is no HTTP request",
        "Speak HTTP/1.1 with a method, headers and framing as RFC 9112 has them.",
    ),
    MalformedBody: Problem(
        400,
        "malformed-json",
        "The body is not JSON",
        "Send one JSON object in UTF-8, each key once, without NaN or Infinity; an empty body means {}.",
    ),
    Unauthorized: Problem(
        401,
        "unauthorized",
        "A key is needed",
        "Send Authorization: Bearer KEY with a key from the operator of the service.",
    ),
    Forbidden: Problem(
        403,
        "forbidden",
        "The key is not good for this",
        "Each key has scopes; ask the operator of the service for one with the scope that is named.",
    ),
    UnknownModel: Problem(
        404, "unknown-model", "No such model", "GET /models lists every model and its versions."
    ),
    UnknownRoute: Problem(
        404, "unknown-route", "Nothing is here", "GET / says what this service is and where things are."
    ),
    MethodNotAllowed: Problem(
        405,
        "method-not-allowed",
        "Another method is needed",
        "The Allow header lists the methods of this path.",
    ),
    NotAcceptable: Problem(
        406,
        "not-acceptable",
        "That representation cannot be made",
        "Ask for application/json, application/zip or text/event-stream, which always work, for image/png, "
        "image/jpeg or image/webp with one image or layout grid, for image/gif or image/webp of an "
        "interpolation, or for application/x-npy; output_format, when given, must agree.",
    ),
    RequestTooSlow: Problem(
        408,
        "request-timeout",
        "The request came too slowly",
        "Send the whole request at once; the connection is closed.",
    ),
    StaleDigest: Problem(
        409,
        "stale-digest",
        "The model is not the one that the link was made for",
        "The model has changed since; leave digest out, or name the version that has it.",
    ),
    ModelConflict: Problem(
        409,
        "model-conflict",
        "What is served does not allow it",
        "The last version of the default model stays, as a pinned one does: load another, or unpin it.",
    ),
    UnusableModel: Problem(
        409,
        "unusable-model",
        "The model cannot be served",
        "Its directory is not sound, and the detail says why: publish a new version that is.",
    ),
    BodyTooLarge: Problem(
        413,
        "body-too-large",
        "The body is too large",
        "Split the work over several requests of fewer latents.",
    ),
    UnsupportedMediaType: Problem(
        415,
        "unsupported-media-type",
        "The body's media type is not read",
        "Send JSON, labelled application/json or not labelled at all.",
    ),
    InvalidInput: Problem(
        422,
        "invalid-input",
        "The input has wrong values",
        "Each member of errors points at a value and says what is allowed there.",
    ),
    QueueFull: Problem(
        429,
        "queue-full",
        "Too much work is waiting",
        "Wait for the seconds in Retry-After, then send the request again.",
        retry_after_s=1,
    ),
    HeadTooLarge: Problem(
        431,
        "head-too-large",
        "The request's head is too large",
        "Send a shorter path and fewer or shorter headers; what is long belongs in the body.",
    ),
    RateLimited: Problem(
        429,
        "rate-limited",
        "The key has asked for too much",
        "Wait for the seconds in Retry-After, then send the request again; RateLimit says what is left.",
    ),
    ClientLeft: Problem(
        499, "client-left", "The client left", "The connection was closed before the answer was ready."
    ),
    ModelOutputFault: Problem(
        500,
        "model-output",
        "The model's output is not finite",
        "This latent drives the model out of its range; choose another seed, latent or truncation.",
    ),
    Unavailable: Problem(
        503,
        "unavailable",
        "The service takes no work now",
        "It is starting or stopping; wait for the seconds in Retry-After, then send the request again.",
        retry_after_s=1,
    ),
    DeadlineExceeded: Problem(
        504,
        "deadline-exceeded",
        "The request ran out of time",
        "Ask for fewer images at once, or leave X-Timeout-Ms out.",
    ),
}
"""Every error that may reach a client; anything else is ``UNEXPECTED``."""

UNEXPECTED = Problem(
    500,
    "unexpected",
    "An unexpected fault of the service",
    "The fault lies in the service; its log holds the request_id and the cause.",
)

BY_SLUG: Mapping[str, Problem] = {problem.slug: problem for problem in [*PROBLEMS.values(), UNEXPECTED]}


def problem_of(error: Exception) -> Problem:
    """Return the table's entry for the error: its own class's, or the nearest of its bases."""
    for kind in type(error).__mro__:
        if kind in PROBLEMS:
            return PROBLEMS[kind]
    return UNEXPECTED


def problem_document(error: Exception, request: Request) -> dict[str, Any]:
    """Return what a client is told of the error; an unexpected error's own text stays inside."""
    problem = problem_of(error)
    exchange = exchange_of(request)
    document: dict[str, Any] = {
        "type": exchange.root_path + problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.help if problem is UNEXPECTED else str(error),
        "instance": exchange.root_path + _reference(request.scope["path"]),
        "request_id": exchange.request_id,
    }
    if isinstance(error, InvalidInput):
        document["errors"] = [fault.as_dict() for fault in error.faults]
    return document


@lru_cache(maxsize=64)
def _reference(path: str) -> str:
    """Return a path as a URI reference to this very host: encoded, and never beginning as another's."""
    return "/" + quote(path.lstrip("/"), safe="/:@!$&'()*+,;=-._~")


def problem_response(error: Exception, request: Request) -> Response:
    """Return the response that tells a client of the error."""
    problem = problem_of(error)
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.allow
    if isinstance(error, Unauthorized | Forbidden):
        headers["WWW-Authenticate"] = error.challenge
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.retry_after_s)
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    return Whole(orjson.dumps(problem_document(error, request)), MEDIA_TYPE, headers, problem.status)


def problem_bytes(error: Exception, request_id: str, root_path: str) -> bytes:
    """Return a whole HTTP response to what is no request yet, after which the connection ends."""
    problem = problem_of(error)
    document = {
        "type": root_path + problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": str(error),
        "instance": root_path + "/",
        "request_id": request_id,
    }
    body = orjson.dumps(document)
    lines = [
        f"HTTP/1.1 {problem.status} {problem.title}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        "cache-control: no-store",
        f"x-request-id: {request_id}",
        "connection: close",
    ]
    if problem.retry_after_s is not None:
        lines.append(f"retry-after: {problem.retry_after_s}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def help_page(problem: Problem) -> str:
    """Return the small HTML page that a problem's ``type`` leads to."""
    title, text = html.escape(problem.title), html.escape(problem.help)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<h1>{problem.status}: {title}</h1><p>{text}</p></html>\n"
    )
