"""The document's schemas of bodies refuse what the service refuses, and allow what it draws."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.reader import Reader
from tests.fakes.site import LocalService


@pytest.mark.parametrize(
    ("path", "body", "fits"),
    [
        ("/generate", {"seed": None, "n": None, "model": None, "truncation": None, "quality": None}, True),
        ("/generate", {"latents": [{"latent": [1, 2, 3, 4], "seed": None}], "class_label": 1}, True),
        ("/generate", {"class_label": {"zero": 1, "3": 0.5}}, True),
        ("/generate", {"n": 2, "class_label": ["zero", "random"]}, True),
        ("/generate", {"class_label": {}}, False),
        ("/generate", {"class_label": True}, False),
        ("/generate", {"latents": [{"seed": 1, "latent": [1, 2, 3, 4]}]}, False),
        ("/generate", {"latents": [{"latent_b64": "ä"}]}, False),
        ("/generate", {"truncation": 0.5}, False),
        ("/generate", {"truncation": {"mode": "threshold", "value": 0}}, False),
        ("/generate", {"truncation": {"mode": "threshold", "value": 5.1}}, False),
        ("/generate", {"truncation": {"mode": "scale", "value": 2.1}}, False),
        ("/generate", {"truncation": {"mode": None, "value": 1}}, False),
        ("/generate", {"output_format": "gif"}, False),
        ("/generate", {"seed": 2**53}, False),
        ("/generate", {"unknown": None}, False),
        ("/arithmetic", {"terms": None}, False),
        ("/arithmetic", {"terms": [{"weight": None, "of": [{"seed": 1}]}], "class_label": 1}, False),
        ("/arithmetic", {"terms": [{"weight": 1, "of": [{"seed": 1}], "class_label": [1]}]}, False),
        ("/interpolate", {"keyframes": [{"latent": {"seed": 1}}, {"latent": {"seed": 2}}], "fps": 1}, True),
        ("/interpolate", {"keyframes": [{"latent": {"seed": 1}}]}, False),
    ],
)  # fmt: skip
def test_schemas_of_bodies_and_the_service_agree(
    service: LocalService, path: str, body: dict[str, Any], *, fits: bool
) -> None:
    reader = Reader.of(service)
    content = reader.document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert (reader.faults(content["schema"], body) == []) is fits
    assert service.post(path, body).status_code == (200 if fits else 422)
