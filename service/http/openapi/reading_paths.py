"""The routes that are read: images by their address, models, health, and the guide."""

from __future__ import annotations

from collections.abc import Sequence

from service.encoding import CONTENT_TYPES
from service.http.openapi.drawing_paths import binary
from service.http.openapi.headers import ALWAYS, CHOSEN, FACTS, KEPT, STATED, headers
from service.http.openapi.parameters import parameters
from service.http.openapi.problems import AT_THE_DOOR, ProblemResponses
from service.http.openapi.schemas import Json, ref
from service.metrics import MEDIA_TYPE as METRICS

JSON, PNG = CONTENT_TYPES["json"], CONTENT_TYPES["png"]

_EVERYWHERE = ("method-not-allowed", "unexpected", *AT_THE_DOOR)
_DRAWN = ("queue-full", "model-output", "unavailable", "deadline-exceeded")
_NOT_MODIFIED: Json = {
    "description": "The client's copy, which If-None-Match names, is the current one.",
    "headers": headers(*KEPT),
}


class ReadingPaths:
    """Makes the path items of the GET routes."""

    def __init__(self, problems: ProblemResponses, protected: Sequence[str]) -> None:
        """``protected`` are the problems of routes that ask for a key, if any do."""
        self._problems = problems
        self._protected = protected

    def items(self, models: Json, model: Json, about: str) -> dict[str, Json]:
        """Return all path items; the arguments are example answers."""
        return {
            **self._pictures(),
            **self._catalogue(models, model),
            **self._operation(),
            **self._guide(about),
        }

    def _pictures(self) -> dict[str, Json]:
        image = {"200": _ok("The image.", PNG, None, *FACTS, *KEPT), "304": _NOT_MODIFIED}
        image_problems = ("unknown-model", "stale-digest", "invalid-input", *_DRAWN, *self._protected)
        preview = {"200": _ok("The picture.", PNG, None, *FACTS, *KEPT), "304": _NOT_MODIFIED}
        return {
            "/images/{model}/{seed}/{index}.png": self._get(
                "getImage",
                "Pictures",
                "An image by its address",
                "A link to one image, for pages and caches. The PNG file carries its recipe.",
                parameters(
                    "Model",
                    "Seed",
                    "Index",
                    "Class",
                    "LinkTruncation",
                    "ImageDigest",
                    "IfNoneMatch",
                    "TimeoutMs",
                ),
                image,
                image_problems,
            ),
            "/models/{name}/preview.png": self._get(
                "getPreview",
                "Pictures",
                "What a model draws, at a glance",
                "The picture that came with the model, or a grid of its first draws.",
                parameters("Name", "Version", "Digest", "IfNoneMatch"),
                preview,
                image_problems,
            ),
        }

    def _catalogue(self, models: Json, model: Json) -> dict[str, Json]:
        listed = _ok("The models.", JSON, _said("ModelList", models, "What is served"))
        described = _ok("The model.", JSON, _said("ModelDescription", model, "The default model"))
        return {
            "/models": self._get(
                "listModels",
                "Models",
                "All models",
                "The current version of every model: classes, limits, licence, evaluation. No parameter is "
                "allowed.",
                parameters(),
                {"200": listed},
                ("invalid-input", *self._protected),
            ),
            "/models/{name}": self._get(
                "getModel",
                "Models",
                "One model",
                "The current version of a model, or the one that is named.",
                parameters("Name", "Version"),
                {"200": described},
                ("unknown-model", "invalid-input", *self._protected),
            ),
        }

    def _operation(self) -> dict[str, Json]:
        alive, ready = (
            _ok(sentence, JSON, _said("Health", {"status": word}, word.title()))
            for sentence, word in (("The process answers.", "alive"), ("Work is taken.", "ready"))
        )
        text = {
            "schema": {"type": "string"},
            "example": "# TYPE forger_images_total counter\n"
            'forger_images_total{model="mnist",version="1"} 12.0\n',
        }
        metrics = _ok("The metrics, in Prometheus' text format.", METRICS.partition(";")[0], text)
        group, none = "Operation", parameters()
        return {
            "/livez": self._get("livez", group, "Whether the process answers", "", none, {"200": alive}),
            "/healthz": self._get("healthz", group, "The same as /livez", "", none, {"200": alive}),
            "/readyz": self._get(
                "readyz",
                group,
                "Whether work is taken",
                "The models are loaded, and the service is not about to stop.",
                none,
                {"200": ready},
                ("unavailable",),
            ),
            "/metrics": self._get(
                "metrics",
                group,
                "What has been done",
                "For Prometheus: among others forger_images_total, forger_requests_total, "
                "forger_request_seconds.",
                none,
                {"200": metrics},
                self._protected,
            ),
        }

    def _guide(self, about: str) -> dict[str, Json]:
        html: Json = {"schema": {"type": "string"}}
        front = _ok("What this is.", "text/plain", {"schema": {"type": "string"}, "example": about}, *CHOSEN)
        to_page = {
            "description": "For who likes text/html better than text/plain: the page.",
            "headers": headers("Location", of=(*ALWAYS, *CHOSEN)),
        }
        document = _ok("This document.", JSON, {"schema": {"type": "object"}}, *STATED)
        page = _ok("The page.", "text/html", html, *STATED, "Content-Security-Policy")
        asset = _ok("The file.", "text/css", html, *STATED)
        asset["content"]["text/javascript"] = html
        known = headers(*STATED, "Content-Security-Policy")
        kept = {"304": {**_NOT_MODIFIED, "headers": known}}
        return {
            "/": self._get(
                "about",
                "Guide",
                "What this is",
                "Says to curl what there is, and leads a browser to the page.",
                parameters(),
                {"200": front, "302": to_page},
            ),
            "/problems/{slug}": self._get(
                "getProblemHelp",
                "Guide",
                "What a problem means",
                "The page that a problem's `type` leads to.",
                parameters("Slug"),
                {"200": _ok("A sentence of help.", "text/html", html)},
                ("unknown-route",),
            ),
            "/openapi.json": self._get(
                "getDocument",
                "Guide",
                "This document",
                "",
                parameters("IfNoneMatch"),
                {"200": document, **kept},
            ),
            "/docs": self._get(
                "getPage",
                "Guide",
                "A page that shows this document",
                "It loads nothing from anywhere else.",
                parameters("IfNoneMatch"),
                {"200": page, **kept},
            ),
            "/docs/{asset}": self._get(
                "getPageAsset",
                "Guide",
                "A file of the page",
                "",
                parameters("Asset", "IfNoneMatch"),
                {"200": asset, **kept},
                ("unknown-route",),
            ),
        }

    def _get(
        self,
        name: str,
        tag: str,
        summary: str,
        description: str,
        asked: list[Json],
        answers: dict[str, Json],
        problems: Sequence[str] = (),
    ) -> Json:
        return {
            "get": {
                "operationId": name,
                "tags": [tag],
                "summary": summary,
                "description": description or f"{summary}.",
                "parameters": asked,
                "responses": {**answers, **self._problems.by_status([*_EVERYWHERE, *problems])},
            }
        }


def _ok(description: str, media_type: str, content: Json | None, *named: str) -> Json:
    return {
        "description": description,
        "headers": headers(*named),
        "content": {media_type: binary(media_type) if content is None else content},
    }


def _said(schema: str, example: Json, summary: str) -> Json:
    return {"schema": ref(schema), "examples": {"example": {"summary": summary, "value": example}}}
