"""The domain's errors, as a tree; ``service.http.problems`` alone knows their HTTP status.

ForgerError
├── InvalidSettings            the environment does not configure a service
├── UnusableModel              a model directory is not what its manifest says, or may not be loaded
├── UnusableKeys               a file of keys cannot be read
├── Refused                    a request that is not served, through its own doing
│   ├── MalformedRequest       not HTTP
│   ├── RequestTooSlow, HeadTooLarge
│   ├── MalformedBody          not JSON
│   ├── BodyTooLarge
│   ├── UnsupportedMediaType
│   ├── InvalidInput           JSON, with wrong values
│   ├── Unauthorized           no key, or a wrong one, where keys are asked for
│   ├── Forbidden              a key that is not good for this
│   ├── UnknownRoute, UnknownModel, MethodNotAllowed, NotAcceptable, StaleDigest
│   ├── ModelConflict          an operator's command that what is served does not allow
├── QueueFull, Unavailable     a request that is not served now
├── RateLimited                a request that its key has to wait for
├── DeadlineExceeded, ClientLeft
└── ModelOutputFault           the model answered with numbers that are none
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class ForgerError(Exception):
    """The root of all of the service's own errors; its text is a sentence fit for a client."""


class InvalidSettings(ForgerError):
    """A setting has an unknown name, a wrong type or a value out of range; the text names it."""


class UnusableModel(ForgerError):
    """A model directory cannot be served; the text says why. It never stops the other models."""


class UnusableKeys(ForgerError):
    """A file of keys cannot be read; the text names the file, the line, its fault and what is allowed."""


class Refused(ForgerError):
    """The root of the faults that lie in the request itself."""


class MalformedRequest(Refused):
    """What a client sent is no HTTP request."""


class RequestTooSlow(Refused):
    """A request comes more slowly than anybody may send one."""


class HeadTooLarge(Refused):
    """A request's path and headers are larger than the configured limit."""


class MalformedBody(Refused):
    """The body is not one JSON document."""


class BodyTooLarge(Refused):
    """The body is larger than the configured limit."""


class UnsupportedMediaType(Refused):
    """The body is labelled as something that is never read as JSON."""


@dataclass(frozen=True)
class InputFault:
    """One fault of the input: where (a JSON pointer as a URI fragment, a header, a parameter), and what."""

    where: str
    detail: str
    kind: str = "pointer"

    def as_dict(self) -> dict[str, str]:
        """Return the fault as a member of a problem document's ``errors``."""
        return {self.kind: self.where, "detail": self.detail}


class InvalidInput(Refused):
    """The input is well formed and its values are wrong."""

    def __init__(self, faults: Sequence[InputFault]) -> None:
        assert faults, "an InvalidInput names at least one fault"
        super().__init__("; ".join(fault.detail for fault in faults))
        self.faults = tuple(faults)

    @classmethod
    def at(cls, pointer: str, detail: str) -> InvalidInput:
        """Return the error of one fault of the body, ``pointer`` being ``/n`` or ``/latents/0``."""
        return cls([InputFault("#" + pointer, detail)])


class Unauthorized(Refused):
    """The request brings no key, or a wrong one; ``invalid`` tells which."""

    def __init__(self, sentence: str, *, invalid: bool = False) -> None:
        super().__init__(sentence)
        self.challenge = 'Bearer realm="forger"' + (', error="invalid_token"' if invalid else "")


class Forbidden(Refused):
    """The request brings a key that is good for other things; ``scope`` is the one that it lacks."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This key lacks the scope {scope}, which is asked for here.")
        self.challenge = f'Bearer realm="forger", error="insufficient_scope", scope="{scope}"'


class UnknownRoute(Refused):
    """Nothing lies at this path."""


class UnknownModel(Refused):
    """No model, or no version of it, has this name."""

    def __init__(self, reference: str, available: Iterable[str]) -> None:
        known = ", ".join(sorted(available)) or "none"
        super().__init__(f"There is no model {reference}; available: {known}.")


class MethodNotAllowed(Refused):
    """The path exists, with other methods."""

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        self.allow = ", ".join(sorted(allowed))
        super().__init__(f"{method} is not possible here; allowed: {self.allow}.")


class NotAcceptable(Refused):
    """None of the media types in Accept can be made of this request."""


class StaleDigest(Refused):
    """A link names the digest of another model than the one that is served under its name."""


class ModelConflict(Refused):
    """An operator's command that what is served, or pinned, does not allow."""


class QueueFull(ForgerError):
    """Too many rows are waiting already."""


class RateLimited(ForgerError):
    """The key has asked for too much of late; after ``retry_after_s`` the same is possible."""

    def __init__(self, sentence: str, retry_after_s: int) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class Unavailable(ForgerError):
    """The service is still starting, or is finishing its work and takes no more."""


class DeadlineExceeded(ForgerError):
    """The request's time ran out before its images were drawn."""


class ClientLeft(ForgerError):
    """The client closed the connection before it was answered."""


class ModelOutputFault(ForgerError):
    """The model's output for this request holds NaN or infinities."""
