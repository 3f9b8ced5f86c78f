"""The models that are served: each directory is verified, loaded and proved before it is ready."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import onnx

from contract.digests import canonical_json
from contract.latents import graph_input, standard_normal
from contract.layout import GENERATOR_FILE, PREVIEW_FILE, ModelDirectory, model_directories, parse_version
from contract.manifest import METADATA_KEY, Canary, ImageOutput, Manifest
from service.backend import ModelBackend, most_latents, rows_per_request, rows_per_run
from service.engine import Engine, Graph, Session
from service.errors import InvalidSettings, UnknownModel, UnusableModel
from service.models.graph_audit import audit
from service.models.pixel_graph import PIXELS, SUMS, with_pixels
from service.models.verification import verified_files, verified_manifest
from service.requests.wording import describe
from service.settings import Settings, default_model_name

logger = logging.getLogger("forger.repository")

_CANARY_LEVELS = 2
_CANARY_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class ServedModel:
    """One version of a model, ready to draw."""

    manifest: Manifest
    digest: str
    backend: ModelBackend
    provider: str
    bit_identical: bool
    padding: str
    max_rows: int
    """The most images, or vectors, that a request may ask for by number or by latents."""
    max_frames: int
    """The most images, or vectors, of an interpolation."""
    max_drawn: int
    """The most rows of any request: memory and the queue hold no more."""
    preview: bytes | None
    """A PNG of what the model draws, if its directory has one."""

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def version(self) -> int:
        """The model's version."""
        return self.manifest.version

    @property
    def is_image(self) -> bool:
        """Whether the model draws images, not vectors."""
        return isinstance(self.manifest.output, ImageOutput)

    @property
    def max_references(self) -> int:
        """The most latents that the terms of a request may name."""
        return most_latents(self.manifest.latent.dim)


class Repository:
    """All served models by name and version; the current version of a name is its highest."""

    def __init__(self, models: Iterable[ServedModel], default: str) -> None:
        self._models: dict[str, dict[int, ServedModel]] = {}
        for model in models:
            self._models.setdefault(model.name, {})[model.version] = model
        self.default = default

    @property
    def names(self) -> list[str]:
        """Every model's name, sorted."""
        return sorted(self._models)

    def versions(self, name: str) -> list[int]:
        """Return the versions served of a name, rising."""
        return sorted(self._models[name])

    def all(self) -> list[ServedModel]:
        """Return every served version of every model."""
        return [self._models[name][version] for name in self.names for version in self.versions(name)]

    def resolve(self, reference: str | None) -> ServedModel:
        """Return the model that ``name`` or ``name:version`` means, or the default one.

        Raises ``UnknownModel`` listing what there is.
        """
        name, colon, version_text = (self.default if reference is None else reference).partition(":")
        if name not in self._models:
            raise UnknownModel(describe(reference), self.names)
        versions = self._models[name]
        version = parse_version(version_text) if colon else max(versions)
        if version not in versions:
            known = [f"{name}:{known}" for known in sorted(versions)]
            raise UnknownModel(describe(reference), known)
        return versions[version]


def load_models(
    settings: Settings, engine: Engine, observe_inference: Callable[[str, int, float], None]
) -> Repository:
    """Load every sound model of the directory; an unsound one is logged, and left out.

    Raises ``InvalidSettings`` if no default model remains.
    """
    models = []
    for directory in model_directories(settings.models_dir):
        try:
            models.append(load_model(directory, settings, engine, observe_inference))
        except InvalidSettings:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one directory must not stop the others
            logger.error("model %s:%d is left out: %s", directory.name, directory.version, error)  # noqa: TRY400 - the sentence is the finding
    default = default_model_name(settings.default_model, (model.name for model in models))
    return Repository(models, default)


def load_model(
    directory: ModelDirectory,
    settings: Settings,
    engine: Engine,
    observe_inference: Callable[[str, int, float], None],
) -> ServedModel:
    """Verify, load and prove one model directory; raises ``UnusableModel`` saying what is wrong."""
    manifest, digest = verified_manifest(directory)
    files = verified_files(directory, manifest)
    model = _audited(files[GENERATOR_FILE], manifest)
    is_image = isinstance(manifest.output, ImageOutput)
    max_batch = rows_per_run(manifest.output, settings.max_batch)
    session = _session(model, manifest, engine, max_batch)
    for canary in manifest.canaries:
        _prove(canary, session, manifest)
    backend = ModelBackend(
        session,
        manifest.latent,
        max_batch=max_batch,
        queue_limit=settings.queue_rows if is_image else settings.queue_vectors,
        pool=engine.pool,
        observe_inference=lambda seconds: observe_inference(manifest.name, manifest.version, seconds),
    )
    max_drawn = rows_per_request(
        manifest.output, manifest.latent.dim, len(manifest.classes or ()), backend.queue_limit
    )
    logger.info("model %s:%d on %s (%s)", manifest.name, manifest.version, session.provider, digest)
    return ServedModel(
        manifest=manifest,
        digest=digest,
        backend=backend,
        provider=session.provider,
        bit_identical=session.bit_identical,
        padding=session.padding.name,
        max_rows=min(settings.max_images if is_image else settings.max_vectors, max_drawn),
        max_frames=min(settings.max_frames, max_drawn),
        max_drawn=max_drawn,
        preview=files.get(PREVIEW_FILE),
    )


def _session(model: onnx.ModelProto, manifest: Manifest, engine: Engine, max_batch: int) -> Session:
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
    return engine.load(model.SerializeToString(), graph, max_batch=max_batch)


def _audited(graph_bytes: bytes, manifest: Manifest) -> onnx.ModelProto:
    """Return the graph in the file; raises ``UnusableModel`` unless it is what the manifest describes."""
    try:
        model = onnx.load_model_from_string(graph_bytes)
    except Exception as error:
        raise UnusableModel("the generator is no ONNX file") from error
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    try:
        stated = canonical_json(json.loads(metadata.get(METADATA_KEY, "null")))
    except ValueError:
        stated = b""
    if stated != canonical_json(manifest.essentials()):
        raise UnusableModel("the generator's own metadata differ from the manifest")
    audit(model, manifest)
    return model


def _prove(canary: Canary, session: Session, manifest: Manifest) -> None:
    """Draw one of the manifest's known images, and refuse the model if it looks different."""
    latent = standard_normal([canary.seed], [canary.index], manifest.latent.dim)
    z = graph_input(latent, manifest.latent.prior)
    weights = None if canary.class_weights is None else np.array([canary.class_weights], np.float32)
    expected = canary.array(manifest.output)
    output = session.draw(z, weights)
    drawn, sound = output.values[0], bool(output.finite_N.all())
    if isinstance(manifest.output, ImageOutput):
        difference = int(np.abs(drawn.astype(np.int16) - expected.astype(np.int16)).max())
        sound = sound and difference <= _CANARY_LEVELS
    else:
        sound = sound and np.allclose(drawn, expected, rtol=_CANARY_TOLERANCE, atol=_CANARY_TOLERANCE)
    if not sound:
        raise UnusableModel(
            f"the canary image of seed {canary.seed}, index {canary.index} comes out different"
        )
