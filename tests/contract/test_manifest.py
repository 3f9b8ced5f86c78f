"""A manifest survives its file, names its faults, and its digest depends on every value."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.digests import canonical_json, sha256_digest
from contract.manifest import (
    Canary,
    ImageOutput,
    InvalidManifest,
    Manifest,
    VectorOutput,
    read_manifest,
    write_manifest,
)

DIGEST = "sha256:" + "0" * 64
OUTPUT = ImageOutput(height=2, width=3, channels=1)
PIXELS = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)


def document() -> dict[str, Any]:
    """Return a whole manifest as JSON."""
    return {
        "schema_version": 1,
        "name": "m",
        "version": 2,
        "description": "",
        "licence": "Apache-2.0",
        "created": "2026-01-02T03:04:05Z",
        "files": {"generator.onnx": {"sha256": DIGEST, "bytes": 10}},
        "latent": {"dim": 4, "prior": "normal", "rng": "philox4x32-10/icdf-v1"},
        "classes": ["a", "b"],
        "output": OUTPUT.model_dump(),
        "graph": {"latent": "latent", "class_weights": "class_weights", "output": "image", "opset": 20},
        "training": {
            "recipe": "default",
            "config": {"deep": {"er": [1, 2.5]}},
            "dataset": {"name": "d", "digest": DIGEST, "images": 5},
            "steps": 1,
            "images_seen": 64,
            "seed": 0,
            "weights": "averaged",
            "library_versions": {},
            "source_commit": None,
            "wall_time_s": 1.5,
        },
        "evaluation": None,
        "parity": {"max_abs_difference": 1e-6, "tolerance": 1e-4, "batches": [1, 2], "cases": 3},
        "batch_invariance": [],
        "canaries": [Canary.of(7, 0, (1.0, 0.0), PIXELS).model_dump()],
    }


def test_a_manifest_survives_its_own_file() -> None:
    manifest = Manifest.model_validate(document())
    again, digest = read_manifest(write_manifest(manifest))
    assert again == manifest
    assert digest == read_manifest(write_manifest(again))[1]


def test_the_digest_is_of_the_content_not_of_the_spelling() -> None:
    compact = json.dumps(document()).encode()
    spaced = json.dumps(dict(reversed(document().items())), indent=4).encode()
    assert read_manifest(compact)[1] == read_manifest(spaced)[1]
    assert read_manifest(compact)[1] == sha256_digest(canonical_json(document()))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 3},
        {"description": "x"},
        {"classes": ["b", "a"]},
        {"created": "2026-01-02T03:04:06Z"},
    ],
)
def test_any_change_changes_the_digest(change: dict[str, Any]) -> None:
    before = read_manifest(json.dumps(document()).encode())[1]
    assert read_manifest(json.dumps(document() | change).encode())[1] != before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"name": "../up"}, "name"),
        ({"version": 0}, "version"),
        ({"unknown": 1}, "unknown"),
        ({"files": {}}, "generator.onnx"),
        ({"files": document()["files"] | {"../x": {"sha256": DIGEST, "bytes": 1}}}, "plain names"),
        ({"files": {"generator.onnx": {"sha256": "sha256:xyz", "bytes": 1}}}, "files.generator.onnx.sha256"),
        ({"latent": {"dim": 0, "prior": "normal"}}, "latent.dim"),
        ({"latent": {"dim": 4, "prior": "cauchy"}}, "latent.prior"),
        ({"classes": ["a", "a"]}, "different names"),
        ({"classes": []}, "different names"),
        ({"classes": None}, "class_weights"),
        ({"output": {"kind": "sound"}}, "output"),
        ({"canaries": []}, "canaries"),
        ({"canaries": [Canary.of(7, 0, (1.0,), PIXELS).model_dump()]}, "canaries"),
    ],
)
def test_faults_are_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidManifest, match=named):
        read_manifest(json.dumps(document() | change).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"NaN", b"[" * 100_000, b'{"a": NaN}'])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidManifest):
        read_manifest(data)


@given(st.binary(min_size=6, max_size=6))
def test_canary_pixels_survive(raw: bytes) -> None:
    pixels = np.frombuffer(raw, np.uint8).reshape(OUTPUT.shape)
    canary = Canary.of(1, 2, None, pixels)
    assert np.array_equal(canary.array(OUTPUT), pixels)
    assert canary.sha256 == sha256_digest(raw)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3))
def test_canary_values_survive(values: list[float]) -> None:
    array = np.array(values, np.float32)
    assert np.array_equal(Canary.of(1, 2, None, array).array(VectorOutput(size=3)), array)


@pytest.mark.parametrize("output", [ImageOutput(height=2, width=2, channels=1), VectorOutput(size=6)])
def test_a_canary_of_another_shape_is_refused(output: ImageOutput | VectorOutput) -> None:
    with pytest.raises(InvalidManifest, match="shape"):
        Canary.of(1, 2, None, PIXELS).array(output)


def test_a_canary_that_inflates_without_end_is_refused() -> None:
    bomb = Canary.of(1, 2, None, np.zeros(50_000_000, np.uint8))
    with pytest.raises(InvalidManifest, match="shape"):
        bomb.array(OUTPUT)


@pytest.mark.parametrize("data", ["not base64!", "AAAA"])
def test_a_canary_that_is_no_compressed_base64_is_refused(data: str) -> None:
    canary = Canary.of(1, 2, None, PIXELS).model_copy(update={"data": data})
    with pytest.raises(InvalidManifest, match="base64"):
        canary.array(OUTPUT)
