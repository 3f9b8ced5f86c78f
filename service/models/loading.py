"""From a model directory to a model that is served: verified, audited, loaded and proved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from contract.latents import graph_input, standard_normal
from contract.layout import PREVIEW_FILE, ModelDirectory
from contract.manifest import Canary, ImageOutput, InvalidManifest, Manifest
from service.backend import ModelBackend, rows_per_request, rows_per_run
from service.engine import Engine, Graph, Proof, Session, proof_in
from service.errors import ForgerError, UnusableModel
from service.models.graph_file import audited
from service.models.pixel_graph import PIXELS, SUMS, with_pixels
from service.models.rewriting import as_cpus_are_quick_at
from service.models.served import ServedModel
from service.models.variant import Variant, chosen_variant
from service.models.verification import Verified, verified
from service.settings import Settings

logger = logging.getLogger("forger.repository")

Measured = Mapping[str, Any]
"""What another process found out of how a model's sessions may be run, see :mod:`service.engine.proof`."""


def load_model(
    directory: ModelDirectory,
    settings: Settings,
    engine: Engine,
    observe_inference: Callable[[str, int, float], None],
    try_first: Callable[[ModelDirectory, str], Measured | None] | None = None,
) -> ServedModel:
    """Verify, load and prove one model directory; raises ``UnusableModel`` saying what is wrong.

    ``try_first`` is told of the directory and its digest before its graph is looked at; it may refuse it, and
    return what it measured.
    """
    content = verified(directory, settings.model_budget_bytes)
    measured = None if try_first is None else try_first(directory, content.digest)
    return loaded(content, settings, engine, observe_inference, measured)


def loaded(
    content: Verified,
    settings: Settings,
    engine: Engine,
    observe_inference: Callable[[str, int, float], None],
    measured: Measured | None = None,
) -> ServedModel:
    """Load and prove what was read of a directory; raises ``UnusableModel`` saying what is wrong."""
    manifest, digest, files = content.manifest, content.digest, content.files
    variant = chosen_variant(manifest, settings.precision, engine.device)
    is_image = isinstance(manifest.output, ImageOutput)
    max_batch = rows_per_run(manifest.output, settings.max_batch)
    model = audited(files[variant.file], manifest, max_batch, settings.model_budget_bytes)
    proof = None if measured is None else proof_in(measured, max_batch, engine.device)
    if engine.device == "cpu":
        most_bytes = settings.model_budget_bytes
        session = quickest_session(model, manifest, engine, max_batch, variant, most_bytes, proof)
    else:
        session = proved_session(model, manifest, engine, max_batch, variant, proof)
    backend = ModelBackend(
        session,
        manifest.latent,
        max_batch=session.proof.best_batch,
        queue_limit=settings.queue_rows if is_image else settings.queue_vectors,
        lanes=engine.lanes,
        observe_inference=lambda seconds: observe_inference(manifest.name, manifest.version, seconds),
    )
    max_drawn = rows_per_request(
        manifest.output, manifest.latent.dim, len(manifest.classes or ()), backend.queue_limit
    )
    logger.info(
        "model %s:%d on %s (%s)",
        manifest.name,
        manifest.version,
        session.provider,
        digest,
        extra={"event": "model-loaded"},
    )
    return ServedModel(
        manifest=manifest,
        digest=digest,
        backend=backend,
        provider=session.provider,
        precision=variant.precision,
        bit_identical=session.proof.bit_identical,
        padding=session.proof.padding.name,
        max_rows=min(settings.max_images if is_image else settings.max_vectors, max_drawn),
        max_frames=min(settings.max_frames, max_drawn),
        max_drawn=max_drawn,
        preview=files.get(PREVIEW_FILE),
    )


def quick_form(model: onnx.ModelProto, max_batch: int, most_bytes: int) -> onnx.ModelProto:
    """Return an audited graph in the form that a CPU takes least time for, within the same memory."""
    try:
        return as_cpus_are_quick_at(model, max_batch, most_bytes)
    except Exception as error:  # noqa: BLE001 - of whatever kind: the graph is sound, and only slower
        logger.warning(
            "a graph is run as it is, as it cannot be rewritten (%s)",
            type(error).__name__,
            extra={"event": "model-not-rewritten"},
        )
        return model


def quickest_session(
    model: onnx.ModelProto,
    manifest: Manifest,
    engine: Engine,
    max_batch: int,
    variant: Variant,
    most_bytes: int,
    proof: Proof | None = None,
) -> Session:
    """Load an audited graph in its quick form, or as it is if that is no good (:func:`proved_session`)."""
    form = quick_form(model, max_batch, most_bytes)
    try:
        return proved_session(form, manifest, engine, max_batch, variant, proof)
    except UnusableModel as error:
        if form is model:
            raise
        fault = error
    session = proved_session(model, manifest, engine, max_batch, variant)
    logger.warning(
        "a graph is run as it is, as it is no good rewritten: %s",
        fault,
        extra={"event": "model-not-rewritten"},
    )
    return session


def proved_session(
    model: onnx.ModelProto,
    manifest: Manifest,
    engine: Engine,
    max_batch: int,
    variant: Variant,
    proof: Proof | None = None,
) -> Session:
    """Load a graph, and draw its canaries; raises ``UnusableModel``, whatever ONNX Runtime stumbles over."""
    try:
        session = _session(model, manifest, engine, max_batch, proof)
        for canary in manifest.canaries:
            _prove(canary, session, manifest, variant)
    except ForgerError:
        raise
    except InvalidManifest as error:
        raise UnusableModel(f"the manifest is unsound: {error}") from error
    except Exception as error:
        raise UnusableModel(f"the graph cannot be run: {error}") from error
    return session


def _session(
    model: onnx.ModelProto, manifest: Manifest, engine: Engine, max_batch: int, proof: Proof | None
) -> Session:
    """Load a graph, with the pixel rule in it if it draws images."""
    is_image = isinstance(manifest.output, ImageOutput)
    graph = Graph(
        latent=manifest.graph.latent,
        class_weights=manifest.graph.class_weights,
        output=manifest.graph.output,
        dim=manifest.latent.dim,
        classes=None if manifest.classes is None else len(manifest.classes),
        is_image=is_image,
    )
    in_pixels = with_pixels(model, graph.output) if is_image else None
    if in_pixels is not None:
        model, graph = in_pixels, replace(graph, pixels=PIXELS, sums=SUMS)
    return engine.load(model.SerializeToString(), graph, max_batch=max_batch, proof=proof)


def _prove(canary: Canary, session: Session, manifest: Manifest, variant: Variant) -> None:
    """Draw one of the manifest's known images, and refuse the model if it looks different."""
    latent = standard_normal([canary.seed], [canary.index], manifest.latent.dim)
    z = graph_input(latent, manifest.latent.prior)
    weights = None if canary.class_weights is None else np.array([canary.class_weights], np.float32)
    expected = canary.array(manifest.output)
    output = session.draw(z, weights)
    drawn, sound = output.values[0], bool(output.finite_N.all())
    if isinstance(manifest.output, ImageOutput):
        difference = int(np.abs(drawn.astype(np.int16) - expected.astype(np.int16)).max())
        sound = sound and difference <= variant.levels
    else:
        sound = sound and np.allclose(drawn, expected, rtol=variant.tolerance, atol=variant.tolerance)
    if not sound:
        raise UnusableModel(
            f"the canary image of seed {canary.seed}, index {canary.index} comes out different"
        )
