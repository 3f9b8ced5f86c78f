"""What is served: ``GET /models`` and ``GET /models/{name}``."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.http.model_view import describe_model
from service.http.query import named_model, parameters
from service.runtime import Runtime


class CatalogueEndpoints:
    """What is known of the models."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def models(self, request: Request) -> Response:
        """``GET /models``: the current version of every model."""
        parameters(request, ())
        repository = self._runtime.repository
        current = [repository.resolve(name) for name in repository.names]
        return _json({"data": [describe_model(model, repository) for model in current]})

    async def model(self, request: Request) -> Response:
        """``GET /models/{name}``: the current version, or that of ``?version=``."""
        reference = named_model(request.path_params["name"], parameters(request, ("version",)))
        repository = self._runtime.repository
        return _json(describe_model(repository.resolve(reference), repository))


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
