"""Images by their address: permalinks and previews, which caches may keep.

Source: RFC 9110, 8.8 and 13 (validators and conditional requests), and RFC 9111 (caching).
"""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from contract.digests import canonical_json, sha256_digest
from contract.latents import MAX_SEED, RNG
from service.encoding import CONTENT_TYPES, png_encoder
from service.errors import InputFault, InvalidInput, StaleDigest
from service.generation.order import Order
from service.generation.sampling import place_generate
from service.http.charging import charged
from service.http.conditional import is_known
from service.http.drawing import draw, patience_with, stages
from service.http.exchange import exchange_of
from service.http.query import named_model, parameters, wrong_parameter
from service.http.whole import Whole
from service.models.repository import Repository
from service.models.served import ServedModel
from service.packaging.facts import Facts
from service.requests.bodies import GenerateRequest
from service.requests.reading import read_body_as
from service.runtime import Runtime

PNG = CONTENT_TYPES["png"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,16}")
_TRUNCATION = re.compile(r"(?P<mode>[a-z]{1,20}):(?P<value>[0-9]{1,20}(\.[0-9]{1,20})?)")
_FOR_EVER = "max-age=31536000, immutable"
# A cache may keep the image, and must ask each time whether the model is still the same.
_REVALIDATE = "no-cache"
_PREVIEW_IMAGES = 64


class ImageEndpoints:
    """PNG files that have an address."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def image(self, request: Request) -> Response:
        """``GET /images/{model}/{seed}/{index}.png``."""
        given = parameters(request, ("class", "truncation", "digest"))
        repository = self._runtime.repository
        model = repository.resolve(request.path_params["model"])
        asked = _asked(request.path_params, given, model)
        if not model.is_image:
            raise wrong_parameter("model", f"model: {model.name} draws vectors, which have no such image")
        control = self._cache_control(given.get("digest"), model)
        return await self._drawn(request, asked, control, repository)

    async def preview(self, request: Request) -> Response:
        """``GET /models/{name}/preview.png``: what the model draws, at a glance."""
        given = parameters(request, ("version", "digest"))
        repository = self._runtime.repository
        model = repository.resolve(named_model(request.path_params["name"], given))
        control = self._cache_control(given.get("digest"), model)
        if model.preview is None:
            return await self._drawn(request, _sheet(model), control, repository)
        headers = {"ETag": f'"{sha256_digest(model.preview)}"', "Cache-Control": control}
        if is_known(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return Response(model.preview, headers=headers, media_type=PNG)

    def _cache_control(self, digest: str | None, model: ServedModel) -> str:
        """Return who may keep the answer, and for how long: what needs a key is for its holder alone."""
        whose = "private" if self._runtime.keyring.is_on else "public"
        return f"{whose}, {_lifetime(digest, model)}"

    async def _drawn(
        self, request: Request, asked: dict[str, Any], control: str, repository: Repository
    ) -> Response:
        """Return what is asked for as a PNG, or 304 if the client has it: that takes no drawing."""
        try:
            order = place_generate(read_body_as(GenerateRequest, asked), repository)
        except InvalidInput as error:
            raise _of_parameters(error) from error
        headers = {"ETag": _etag(order), "Cache-Control": control}
        if is_known(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)

        exchange = exchange_of(request)
        order = exchange.asks_for(order)
        with patience_with(request, self._runtime) as patience:
            patience.watch()
            with charged(request, order.count):
                drawing, packed = await draw(self._runtime, exchange, order, PNG, patience.deadline)
        timed = {**packed.headers, **headers, "Server-Timing": stages(drawing, packed)}
        return Whole(packed.body, PNG, timed)


def _asked(path: dict[str, str], given: dict[str, str], model: ServedModel) -> dict[str, Any]:
    """Return the body of ``POST /generate`` that means the same as a permalink."""
    asked: dict[str, Any] = {"model": path["model"]}
    for name in ("seed", "index"):
        if not _NUMBER.fullmatch(path[name]):
            raise wrong_parameter(name, f"{name}: must be a whole number from 0 to {MAX_SEED}")
        asked[name] = int(path[name])
    if "class" in given:
        asked["class_label"] = _class(given["class"], model)
    if "truncation" in given:
        spelled = _TRUNCATION.fullmatch(given["truncation"])
        if spelled is None:
            raise wrong_parameter(
                "truncation",
                "truncation: must be threshold:T with T in (0, 5], or scale:S with S from 0 to 2",
            )
        asked["truncation"] = {"mode": spelled["mode"], "value": float(spelled["value"])}
    return asked


def _class(spelled: str, model: ServedModel) -> str | int:
    """Return the class that a link means: a name before anything else, then an index."""
    is_name = spelled in (model.manifest.classes or ())
    is_index = spelled.isascii() and spelled.isdecimal() and len(spelled) <= 9
    return int(spelled) if is_index and not is_name else spelled


def _sheet(model: ServedModel) -> dict[str, Any]:
    """Return the body of ``POST /generate`` that draws a preview of a model that came without one."""
    asked: dict[str, Any] = {"model": f"{model.name}:{model.version}", "seed": 0, "index": 0}
    if not model.is_image:
        return asked | {"n": model.max_rows, "output_format": "png"}
    labels = {} if model.manifest.classes is None else {"class_label": "balanced"}
    return asked | {"n": min(_PREVIEW_IMAGES, model.max_rows), "layout": "grid"} | labels


def _lifetime(digest: str | None, model: ServedModel) -> str:
    """Return how long the answer may be kept: for ever if the link names the model's digest."""
    if digest is None:
        return _REVALIDATE
    if not _DIGEST.fullmatch(digest):
        raise wrong_parameter("digest", "digest: must be sha256: and 64 hexadecimal digits, in lower case")
    if digest != model.digest:
        raise StaleDigest(
            f"{model.name}:{model.version} has the digest {model.digest}, not the one in the link."
        )
    return _FOR_EVER


def _etag(order: Order) -> str:
    """Return a strong validator: it changes with whatever could change a byte of the file."""
    facts = Facts(order, None)
    recipe = facts.recipe_of_all(order.body.layout) if order.count > 1 else facts.recipe(0)
    made_by = {"encoder": png_encoder(), "provider": order.model.provider, "precision": order.model.precision}
    source = {"recipe": recipe, "rng": RNG, **made_by}
    return f'"{sha256_digest(canonical_json(source))}"'


def _of_parameters(error: InvalidInput) -> InvalidInput:
    """Return the error with its faults at the link's parameters instead of a body's fields."""
    names = {"class_label": "class"}
    faults = []
    for fault in error.faults:
        field, _, sentence = fault.detail.partition(": ")
        top = fault.where.removeprefix("#/").partition("/")[0]
        name = names.get(top, top)
        faults.append(InputFault(name, f"{name}: {sentence}" if sentence else field, kind="parameter"))
    return InvalidInput(faults)
