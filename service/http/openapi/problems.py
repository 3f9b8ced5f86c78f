"""The answers to requests that are not served: a response for each kind of problem, with a true example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from service.access.scopes import Scope
from service.errors import (
    BodyTooLarge,
    DeadlineExceeded,
    Forbidden,
    ForgerError,
    HeadTooLarge,
    InvalidInput,
    MalformedRequest,
    MethodNotAllowed,
    ModelConflict,
    ModelOutputFault,
    QueueFull,
    RateLimited,
    RequestTooSlow,
    StaleDigest,
    Unauthorized,
    Unavailable,
    UnknownRoute,
    UnusableModel,
)
from service.generation.sampling import place_generate, read_generate
from service.http.body import check_media_type, parse_json
from service.http.negotiation import negotiate
from service.http.openapi.headers import RATE, headers
from service.http.openapi.schemas import Json, ref
from service.http.problems import BY_SLUG, MEDIA_TYPE, PROBLEMS, UNEXPECTED, Problem, problem_of
from service.models.repository import Repository
from service.settings import Settings

NEVER_SENT = frozenset({"client-left"})
"""What nobody is there to read; it stands in the metrics alone."""

AT_THE_DOOR = ("malformed-request", "request-timeout", "head-too-large")
"""What any request may meet before it is one."""

_HEADERS = {
    "unauthorized": "WWW-Authenticate",
    "method-not-allowed": "Allow",
    "forbidden": "WWW-Authenticate",
    "queue-full": "Retry-After",
    "rate-limited": "Retry-After",
    "unavailable": "Retry-After",
}
_REQUEST_ID = "9f86d081884c7d659a2feaa0c55ad015"


class ProblemResponses:
    """The responses of problems, by the slugs that may stand in them."""

    def __init__(self, repository: Repository, settings: Settings) -> None:
        self._root_path = settings.root_path
        self._rate_headers = RATE if settings.asks_for_keys else ()
        picture = f"/images/{repository.default}/42/0.png"
        self._places = {
            "unknown-route": "/draw",
            "method-not-allowed": "/models",
            "stale-digest": picture,
            "model-conflict": f"/admin/models/{repository.default}/unload",
            "unusable-model": f"/admin/models/{repository.default}/load",
        }
        self._errors = {problem_of(error).slug: error for error in _errors(repository, settings)}
        self.components: dict[str, Json] = {}

    def by_status(self, slugs: Sequence[str]) -> dict[str, Json]:
        """Return the responses of one operation that may meet these problems."""
        problems = sorted((BY_SLUG[slug] for slug in slugs), key=lambda problem: problem.status)
        return {
            str(status): self._response([problem.slug for problem in alike])
            for status, alike in groupby(problems, key=lambda problem: problem.status)
        }

    def _response(self, slugs: Sequence[str]) -> Json:
        name = "-or-".join(sorted(slugs))
        if name not in self.components:
            self.components[name] = self._component([BY_SLUG[slug] for slug in slugs])
        return ref(name, "responses")

    def _component(self, problems: Sequence[Problem]) -> Json:
        named = {_HEADERS[problem.slug] for problem in problems if problem.slug in _HEADERS}
        base = "InputProblem" if any(problem.slug == "invalid-input" for problem in problems) else "Problem"
        content = {
            # Plain, as generators of clients cannot merge what else could be said of type and status.
            "schema": ref(base),
            "examples": {
                problem.slug: {"summary": problem.title, "value": self.example(problem.slug)}
                for problem in problems
            },
        }
        return {
            "description": " Or: ".join(f"{problem.title}. {problem.help}" for problem in problems),
            "headers": headers("Cache-Control", *sorted(named), *self._rate_headers),
            "content": {MEDIA_TYPE: content},
        }

    def example(self, slug: str) -> Json:
        """Return a problem document as the service sends it."""
        problem, error = BY_SLUG[slug], self._errors.get(slug)
        document: Json = {
            "type": self._root_path + problem.type,
            "title": problem.title,
            "status": problem.status,
            "detail": problem.help if error is None else str(error),
            "instance": self._root_path + self._places.get(slug, "/generate"),
            "request_id": _REQUEST_ID,
        }
        if isinstance(error, InvalidInput):
            document["errors"] = [fault.as_dict() for fault in error.faults]
        return document


def all_slugs() -> list[str]:
    """Return the slug of every problem that a client may be told of."""
    return [problem.slug for problem in (*PROBLEMS.values(), UNEXPECTED) if problem.slug not in NEVER_SENT]


def _errors(repository: Repository, settings: Settings) -> list[ForgerError]:
    """Return an error of every kind: those that a request alone provokes are really provoked."""
    default = repository.resolve(None)
    order = place_generate(read_generate({"n": 1}, repository), repository)
    provoked: list[Callable[[], object]] = [
        lambda: parse_json(b'{"n": 1,}'),
        lambda: repository.resolve("no-such-model"),
        lambda: negotiate("text/csv", order),
        lambda: check_media_type("text/csv", ""),
        lambda: place_generate(read_generate({"n": 0}, repository), repository),
    ]
    return [
        *(_raised(action) for action in provoked),
        MalformedRequest("What came is not HTTP."),
        RequestTooSlow(f"The body came at less than {settings.min_bytes_per_s} bytes a second."),
        HeadTooLarge(f"The request's head is larger than the limit of {settings.max_head_bytes} bytes."),
        Unauthorized("This service asks for a key: send Authorization: Bearer KEY."),
        Forbidden(Scope.GENERATE),
        RateLimited("The limit of this key is 600/minute (requests); 1 more is possible in 2 s.", 2),
        BodyTooLarge(f"The body is larger than the limit of {settings.max_body_bytes} bytes."),
        UnknownRoute("There is nothing at this path; GET / says what there is."),
        MethodNotAllowed("DELETE", ["GET", "HEAD"]),
        ModelConflict(f"{default.name}:{default.version} is pinned, and cannot be unloaded."),
        UnusableModel(
            f"{default.name}:{default.version + 1} cannot be served: generator.onnx has not the "
            "digest that the manifest states."
        ),
        StaleDigest(
            f"{default.name}:{default.version} has the digest {default.digest}, not the one in the link."
        ),
        QueueFull(f"{default.backend.queue_limit} rows wait for this model already, as many as may."),
        ModelOutputFault("The model's output for this request is not finite."),
        Unavailable("The service is stopping and takes no more work."),
        DeadlineExceeded("The deadline passed before the answer was ready."),
    ]


def _raised(action: Callable[[], object]) -> ForgerError:
    try:
        action()
    except ForgerError as error:
        return error
    raise AssertionError("the example is refused by no rule")
