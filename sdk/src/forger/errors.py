"""What can go wrong, as a tree.

::

    ForgerError
    ├── Misuse                    an argument that cannot be meant; nothing was sent
    ├── ConnectionFailed          no whole answer came, however often it was tried
    │   └── TimedOut              nor would it have come in time
    ├── BadAnswer                 an answer came that no Forger service gives
    ├── ChangedModel              the model is another one than a bulk run began with
    ├── ChangedJob                what lies there was begun with other arguments
    └── Problem                   the service says why not (application/problem+json, RFC 9457)
        ├── MalformedJson         400
        ├── MalformedRequest      400  what came was no HTTP
        ├── Unauthorized          401  a key is needed, or not this one
        ├── Forbidden             403  the key is good, but not for this
        ├── UnknownModel          404
        ├── UnknownRoute          404
        ├── MethodNotAllowed      405
        ├── NotAcceptable         406
        ├── RequestTimedOut       408
        ├── StaleDigest           409
        ├── ModelConflict         409  what an operator asked for contradicts what is served
        ├── UnusableModel         409  a version that cannot be served, and why
        ├── BodyTooLarge          413
        ├── UnsupportedMediaType  415
        ├── InvalidInput          422  ``errors`` points at each wrong value and says what is allowed
        ├── RateLimited           429  this key has had its share for now
        ├── QueueFull             429  the service has
        ├── HeadTooLarge          431
        ├── ModelOutput           500  this latent drives the model out of its range
        ├── Unexpected            500  a fault of the service
        ├── Unavailable           503
        └── DeadlineExceeded      504

A type of problem that this version does not know is a plain ``Problem``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

import httpx


class ForgerError(Exception):
    """Everything that this package raises on purpose."""


class Misuse(ForgerError, ValueError):
    """An argument that cannot be meant; nothing was sent."""


class ConnectionFailed(ForgerError):
    """No whole answer came, however often it was tried; ``__cause__`` is the last failure."""

    request_id: str | None = None
    """The request's name, in the service's log if it came there."""


class TimedOut(ConnectionFailed):
    """No whole answer came in time."""


class BadAnswer(ForgerError):
    """An answer came that no Forger service gives: the address may be another server's, or a proxy's."""


class ChangedModel(ForgerError):
    """The model is another one than the run began with: its images would not belong together."""


class ChangedJob(ForgerError, ValueError):
    """What lies at the place was begun with other arguments."""


class Problem(ForgerError):
    """The service's own account of why a request failed."""

    slug: ClassVar[str] = ""
    """The last part of the problem's ``type``."""

    def __init__(self, document: Mapping[str, Any], retry_after_s: float | None = None) -> None:
        self.document = document
        """All that the service said, as it said it."""
        self.type = str(document.get("type", "about:blank"))
        self.title = str(document.get("title", ""))
        status = document.get("status")
        self.status = status if isinstance(status, int) else 0
        self.detail = str(document.get("detail", ""))
        self.request_id: str | None = document.get("request_id")
        faults = document.get("errors")
        self.errors: Sequence[Mapping[str, str]] = tuple(
            fault for fault in (faults if isinstance(faults, list) else ()) if isinstance(fault, Mapping)
        )
        """For wrong values: each with a ``pointer`` into the body, and ``detail``."""
        self.retry_after_s = retry_after_s
        """For how long the service asked to be left alone, or None."""
        super().__init__(self._sentence())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.document, self.retry_after_s)

    def _sentence(self) -> str:
        faults = "; ".join(
            f"{fault.get('pointer') or fault.get('header') or fault.get('parameter')}: {fault.get('detail')}"
            for fault in self.errors
        )
        return f"{self.title} ({self.status}): {faults or self.detail}"


class MalformedJson(Problem):
    """400."""

    slug = "malformed-json"


class MalformedRequest(Problem):
    """400: what came was no HTTP."""

    slug = "malformed-request"


class Unauthorized(Problem):
    """401: a key is needed, or not this one."""

    slug = "unauthorized"


class Forbidden(Problem):
    """403: the key is good, but not for this."""

    slug = "forbidden"


class UnknownModel(Problem):
    """404: the service has no such model, or no such version of it."""

    slug = "unknown-model"


class UnknownRoute(Problem):
    """404: nothing is at this path."""

    slug = "unknown-route"


class MethodNotAllowed(Problem):
    """405."""

    slug = "method-not-allowed"


class NotAcceptable(Problem):
    """406: the answer cannot be made in that form."""

    slug = "not-acceptable"


class RequestTimedOut(Problem):
    """408: the request came too slowly."""

    slug = "request-timeout"


class StaleDigest(Problem):
    """409: the model is another one by now."""

    slug = "stale-digest"


class ModelConflict(Problem):
    """409: what an operator asked for contradicts what is served."""

    slug = "model-conflict"


class UnusableModel(Problem):
    """409: a version that cannot be served; ``detail`` says why."""

    slug = "unusable-model"


class BodyTooLarge(Problem):
    """413."""

    slug = "body-too-large"


class UnsupportedMediaType(Problem):
    """415."""

    slug = "unsupported-media-type"


class InvalidInput(Problem):
    """422: ``errors`` points at each wrong value and says what is allowed."""

    slug = "invalid-input"


class RateLimited(Problem):
    """429: this key has had its share for now."""

    slug = "rate-limited"


class QueueFull(Problem):
    """429: too much work waits at the service."""

    slug = "queue-full"


class HeadTooLarge(Problem):
    """431."""

    slug = "head-too-large"


class ModelOutput(Problem):
    """500: this latent drives the model out of its range."""

    slug = "model-output"


class Unexpected(Problem):
    """500: a fault of the service, whose log has the cause under ``request_id``."""

    slug = "unexpected"


class Unavailable(Problem):
    """503: the service starts or stops."""

    slug = "unavailable"


class DeadlineExceeded(Problem):
    """504: the service's deadline passed."""

    slug = "deadline-exceeded"


BY_SLUG: Mapping[str, type[Problem]] = {kind.slug: kind for kind in Problem.__subclasses__()}


def problem_in(response: httpx.Response) -> Problem | BadAnswer:
    """Return the error that a response of status 400 or more stands for; its body must have been read."""
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if media_type != "application/problem+json":
        begun = response.text[:200].strip()
        return BadAnswer(f"{response.status_code} from {response.url}, without a problem document: {begun}")
    try:
        document = response.json()
    except ValueError:
        return BadAnswer(f"{response.status_code} from {response.url}: its problem document is not JSON")
    if not isinstance(document, dict):
        return BadAnswer(f"{response.status_code} from {response.url}: its problem document is no object")
    return problem_of(document, retry_after_of(response))


def problem_of(document: Mapping[str, Any], retry_after_s: float | None = None) -> Problem:
    """Return a problem document as the error of its type."""
    slug = str(document.get("type", "")).rpartition("/")[2]
    return BY_SLUG.get(slug, Problem)(document, retry_after_s)


def retry_after_of(response: httpx.Response) -> float | None:
    """Return the seconds in ``Retry-After``, or until the date that stands there; None without one."""
    text = response.headers.get("retry-after", "")
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
