"""For who comes to look: what this service is, and what its problems mean."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from service.errors import UnknownRoute
from service.http.exchange import exchange_of
from service.http.negotiation import accepted, choose
from service.http.problems import BY_SLUG, help_page

DOCS = "/docs"

_ABOUT = """Forger draws images from trained generators.

  curl -s {root}/generate -H 'Accept: image/png' -d '{{"seed": 1}}' > image.png

  POST /generate            draw: model, n, seed, index, class_label, truncation, latents, layout
  POST /arithmetic          draw a weighted sum of latents, its neighbours, its terms
  POST /interpolate         draw a path through keyframes, as images or as an animation
  GET  /models              the models, their classes and limits
  GET  /models/{{name}}       one model; /models/{{name}}/preview.png shows what it draws
  GET  /images/{{model}}/{{seed}}/{{index}}.png   one image by its address
  GET  /livez, /readyz      health
  GET  /metrics             for Prometheus
  GET  /openapi.json        all of this for programs; GET /docs shows it to people
"""


def about(root: str) -> str:
    """Return what is said to who asks ``/``; ``root`` is the service's own address."""
    return _ABOUT.format(root=root)


class GuideEndpoints:
    """The front door and the help pages."""

    async def about(self, request: Request) -> Response:
        """``GET /``: what this is, and how to draw a first image; a browser is led to the page."""
        root_path = exchange_of(request).root_path
        if choose(accepted(request), ["text/plain", "text/html"]) == "text/html":
            return RedirectResponse(root_path + DOCS, 302, {"Vary": "Accept"})
        host = request.headers.get("host", "")
        known = host if re.fullmatch(r"[A-Za-z0-9.:\[\]-]{1,255}", host) else "localhost:3000"
        root = f"{request.url.scheme}://{known}{root_path}"
        return Response(about(root), headers={"Vary": "Accept"}, media_type="text/plain")

    async def problem(self, request: Request) -> Response:
        """``GET /problems/{slug}``: a sentence of help."""
        problem = BY_SLUG.get(request.path_params["slug"])
        if problem is None:
            raise UnknownRoute("There is no problem of this name.")
        return Response(help_page(problem), media_type="text/html")
