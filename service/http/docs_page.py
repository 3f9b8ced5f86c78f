"""The API's document, and the page that shows it: Swagger UI, from the copy that BentoML brings along.

The page loads nothing from another host, and its addresses are relative, so that it works under any
path prefix.
"""

from __future__ import annotations

import asyncio
import importlib.util
from functools import cached_property
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from service.errors import UnknownRoute
from service.http.conditional import is_known
from service.http.openapi.served import ServedDocument, ServedFile
from service.runtime import Runtime

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI draws its icons from data addresses, and shows images from blobs."""

_CSS, _JS, _HTML = "text/css", "text/javascript", "text/html"
_SWAGGER = {"swagger-ui.css": _CSS, "swagger-ui-bundle.js": _JS}
_START = "start.js"
ASSETS = (*_SWAGGER, _START)

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="Forger draws images from trained generators: its HTTP API.">
<title>Forger</title>
<link rel="icon" href="data:,">
"""
_PAGE = f"""{_HEAD}<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<noscript>
<p>This page needs JavaScript; <a href="openapi.json">the document</a> itself does not.</p>
</noscript>
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/{_START}"></script>
</body>
</html>
"""
_SOBER_PAGE = f"""{_HEAD}</head>
<body>
<h1>Forger</h1>
<p>Forger draws images from trained generators. <a href="openapi.json">The API's document</a> says how to ask
it, in OpenAPI 3.1. This installation has no Swagger UI, which would show the document here.</p>
</body>
</html>
"""
_STARTING = """SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  dom_id: "#api",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
"""


def swagger_folder() -> Path | None:
    """Return where BentoML keeps Swagger UI, or None if this release of it does not; nothing is imported."""
    package = importlib.util.find_spec("bentoml")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "_internal" / "server" / "static_content"
    return folder if all((folder / name).is_file() for name in _SWAGGER) else None


class DocsEndpoints:
    """The document for programs, the page for people."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._document = ServedDocument(self._build, lambda: runtime.repository.number)

    async def document(self, request: Request) -> Response:
        """``GET /openapi.json``."""
        return _answer(request, await self._document.file())

    async def page(self, request: Request) -> Response:
        """``GET /docs``."""
        files = await asyncio.to_thread(lambda: self._files)
        response = _answer(request, files[""])
        response.headers["Content-Security-Policy"] = POLICY
        return response

    async def asset(self, request: Request) -> Response:
        """``GET /docs/{asset}``."""
        file = (await asyncio.to_thread(lambda: self._files)).get(request.path_params["asset"])
        if file is None:
            raise UnknownRoute("The page has no such file.")
        return _answer(request, file)

    def _build(self) -> dict[str, Any]:
        from service.http.openapi.document import build_document  # noqa: PLC0415 - a tenth of every start

        return build_document(self._runtime.repository, self._runtime.settings, list(ASSETS))

    @cached_property
    def _files(self) -> dict[str, ServedFile]:
        """The page, under no name, and its files; read from the disk once."""
        folder = swagger_folder()
        if folder is None:
            return {"": ServedFile.of(_SOBER_PAGE.encode(), _HTML)}
        files = {name: ServedFile.of((folder / name).read_bytes(), kind) for name, kind in _SWAGGER.items()}
        return {
            "": ServedFile.of(_PAGE.encode(), _HTML),
            _START: ServedFile.of(_STARTING.encode(), _JS),
            **files,
        }


def _answer(request: Request, file: ServedFile) -> Response:
    headers = {"ETag": file.etag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    if is_known(request, file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
