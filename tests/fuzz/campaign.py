"""A campaign: requests of all kinds, made of the API's document alone, and what is wrong with the answers."""

from __future__ import annotations

import copy
import math
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import schemathesis
from schemathesis import GenerationMode
from schemathesis.engine import events, from_schema
from schemathesis.hooks import unregister

_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "unsupported_method",
)
# What a sound request may meet all the same: only its model, or its Accept, knows better than the document.
_ANSWERS_TO_SOUND_REQUESTS = ["2xx", "3xx", "404", "406", "409", "422", "504"]
_ALWAYS_POSSIBLE = ("application/json", "application/zip", "text/event-stream", "image/*;q=0.5, */*;q=0.1")
_SOMETIMES_POSSIBLE = (
    "application/x-npy", "image/png", "image/jpeg", "image/webp", "image/gif", "text/csv",
)  # fmt: skip

_SAMPLES_SHOWN = 5
# What the fuzzer calls a header of its own.
_UNKNOWN_HEADER = "x-schemathesis-unknown-property"


@dataclass(frozen=True)
class Effort:
    """How much is tried: generated requests of an operation, and of one that draws; and for how long."""

    examples: int
    drawing_examples: int
    seconds: float = math.inf
    requests: float = math.inf
    systematic: bool = True
    """Whether the document's examples, and the edges of every schema, are tried too."""


@dataclass
class Report:
    """How many answers of each status each operation gave, and the wrong ones with their requests."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return self.answers.total()

    @property
    def is_sound(self) -> bool:
        return not self.faults and not self.errors

    def lines(self) -> Iterator[str]:
        """Yield the counts, an operation a line, and then what was wrong."""
        for operation in sorted({operation for operation, _ in self.answers}):
            counts = {status: n for (one, status), n in sorted(self.answers.items()) if one == operation}
            spelled = "  ".join(f"{status}: {n}" for status, n in counts.items())
            yield f"{operation:42} {sum(counts.values()):6}   {spelled}"
        for fault, samples in self.faults.items():
            yield "\n".join([f"\n{fault}, {len(samples)} times", *samples[:_SAMPLES_SHOWN]])
        yield from self.errors


def carry_out(url: str, seed: int, effort: Effort, report: Report | None = None) -> Report:
    """Ask a running service, as far as the effort goes; what comes of it is added to a report."""
    report = Report() if report is None else report
    # Loaded from its address, the document would leave out its own route.
    document = httpx.get(f"{url}/openapi.json").raise_for_status().json()
    before_call = _choose_accept(random.Random(seed))
    late = time.monotonic() + effort.seconds
    schemathesis.hook(before_call)
    try:
        for part in (document, _without_latents(document)):
            schema = schemathesis.openapi.from_dict(part, config=_configuration(url, seed, effort))
            stream = from_schema(schema).execute()
            for event in stream:
                _take(event, report)
                if report.requests >= effort.requests or time.monotonic() > late:
                    stream.stop()
    finally:
        unregister(before_call)
    return report


def _without_latents(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of images of seeds alone.

    Latents and seeds exclude one another, which no schema says: of a body with both, the fuzzer would learn
    nothing about its other fields.
    """
    part = copy.deepcopy(document)
    part["paths"] = {"/generate": part["paths"]["/generate"]}
    del part["components"]["schemas"]["GenerateRequest"]["properties"]["latents"]
    (content,) = part["paths"]["/generate"]["post"]["requestBody"]["content"].values()
    content["examples"] = {
        name: example for name, example in content["examples"].items() if "latents" not in example["value"]
    }
    return part


def _configuration(url: str, seed: int, effort: Effort) -> schemathesis.Config:
    systematic = {"enabled": effort.systematic, "operation-ordering": "none"}
    return schemathesis.Config.from_dict(
        {
            "seed": seed,
            "base-url": url,
            "continue-on-failure": True,
            "request-timeout": 60,
            "max-redirects": 0,
            "generation": {
                "mode": "all",
                "max-examples": effort.examples,
                "database": "none",
                "no-shrink": True,
            },
            "operations": [
                {"include-method": "POST", "generation": {"max-examples": effort.drawing_examples}}
            ],
            "phases": {
                "examples": systematic,
                "coverage": systematic,
                "fuzzing": {"operation-ordering": "none"},
                "stateful": {"enabled": False},
            },
            "checks": {
                "enabled": False,
                **{name: {"enabled": True} for name in _CHECKS},
                "positive_data_acceptance": {
                    "enabled": True,
                    "expected-statuses": _ANSWERS_TO_SOUND_REQUESTS,
                },
            },
        }
    )


def _choose_accept(chance: random.Random) -> Any:
    """Return a hook that asks for answers of all forms: OpenAPI has no parameter for that."""

    def before_call(_context: Any, case: Any, _options: Any) -> None:
        # A body that must be refused is not to be refused for its Accept.
        is_unsound = case.meta is not None and case.meta.generation.mode is GenerationMode.NEGATIVE
        forms = _ALWAYS_POSSIBLE if is_unsound else (*_ALWAYS_POSSIBLE, *_SOMETIMES_POSSIBLE)
        if case.method == "POST" and chance.random() < 0.7:
            case.headers["Accept"] = chance.choice(forms)
        elif case.path == "/" and chance.random() < 0.5:
            case.headers["Accept"] = "text/html"

    return before_call


def _take(event: Any, report: Report) -> None:
    if isinstance(event, events.NonFatalError | events.FatalError):
        report.errors.append(repr(getattr(event, "value", event)))
    if not isinstance(event, events.ScenarioFinished):
        return
    recorder = event.recorder
    for case_id, interaction in recorder.interactions.items():
        response = interaction.response
        report.answers[recorder.label, 0 if response is None else response.status_code] += 1
        for check in recorder.checks.get(case_id, ()):
            if check.failure_info is not None and not _asked_for(
                check, response, recorder.cases[case_id].value
            ):
                failure = check.failure_info.failure
                name = f"{recorder.label}: {check.name}: {failure.title}"
                seen = f"{failure.message[:600]}\n  {check.failure_info.code_sample[:3000]}"
                report.faults.setdefault(name, []).append(seen)


def _asked_for(check: Any, response: Any, case: Any) -> bool:
    """Tell whether the failure is the right answer.

    Who has no time is told so with 504. A header that the document does not know is passed by, as HTTP wants
    it; the check knows that, but not beside a header that the document does know.
    """
    names = {name.lower() for name in case.headers}
    if check.name == "negative_data_rejection" and _UNKNOWN_HEADER in names:
        return True
    is_timed = "x-timeout-ms" in names
    return check.name == "not_a_server_error" and response.status_code == 504 and is_timed
