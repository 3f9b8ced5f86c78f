"""From the bytes of an ONNX file to a graph that may be run: parsed within bounds, and audited."""

from __future__ import annotations

import json

import onnx

from contract.digests import canonical_json
from contract.manifest import METADATA_KEY, Manifest
from service.errors import UnusableModel
from service.models.graph_audit import MOST_NODES, audit
from service.models.graph_budget import check_budget
from service.models.wire import Malformed, structure_bytes

MOST_STRUCTURE_BYTES = 16 * 2**20
"""Of a graph without its weights; exporters write a few kilobytes for each node at most."""


def audited(graph_bytes: bytes, manifest: Manifest, max_batch: int, most_bytes: int) -> onnx.ModelProto:
    """Return the graph in the file.

    Raises ``UnusableModel`` unless it is what the manifest describes, holds nothing that is not allowed, and
    takes at most so many bytes for 1 to ``max_batch`` rows.
    """
    model = _parsed(graph_bytes)
    if _stated(model) != canonical_json(manifest.essentials()):
        raise UnusableModel("the generator's own metadata differ from the manifest")
    try:
        audit(model, manifest)
        check_budget(model, max_batch, most_bytes)
    except UnusableModel:
        raise
    except Exception as error:
        raise UnusableModel(f"the graph is unsound: {error}") from error
    return model


def _parsed(graph_bytes: bytes) -> onnx.ModelProto:
    try:
        structure = structure_bytes(graph_bytes, most_fields=4 * MOST_NODES)
    except Malformed as error:
        raise UnusableModel(f"the generator is no ONNX file: {error}") from error
    if structure > MOST_STRUCTURE_BYTES:
        raise UnusableModel(
            f"the graph has {structure} bytes beside its weights, and {MOST_STRUCTURE_BYTES} at most are "
            "allowed"
        )
    try:
        return onnx.load_model_from_string(graph_bytes)
    except Exception as error:
        raise UnusableModel("the generator is no ONNX file") from error


def _stated(model: onnx.ModelProto) -> bytes:
    """Return what the file itself says the model is, in canonical form; nothing if it says nothing sound."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    try:
        return canonical_json(json.loads(metadata.get(METADATA_KEY, "null")))
    except (ValueError, RecursionError):
        return b""
