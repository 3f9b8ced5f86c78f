"""What ``GET /models`` says of a model."""

from __future__ import annotations

from typing import Any

from contract.latents import TRUNCATION_MODES
from service.models.repository import Repository
from service.models.served import ServedModel


def describe_model(model: ServedModel, repository: Repository) -> dict[str, Any]:
    """Return a model as a JSON document."""
    manifest = model.manifest
    classes = manifest.classes
    modes = [mode.value for mode in TRUNCATION_MODES[manifest.latent.prior]]
    return {
        "name": model.name,
        "version": model.version,
        "versions": repository.versions(model.name),
        "default": model.name == repository.default,
        "description": manifest.description,
        "digest": model.digest,
        "created": manifest.created.isoformat(),
        "latent": manifest.latent.model_dump(mode="json"),
        "classes": None
        if classes is None
        else [{"index": i, "name": name} for i, name in enumerate(classes)],
        "output": {**manifest.output.model_dump(mode="json"), "shape": list(manifest.output.shape)},
        "truncation_modes": modes,
        "capabilities": _capabilities(model),
        "provider": model.provider,
        "precision": model.precision,
        "reproducible": {"bit_identical": model.bit_identical, "padding": model.padding},
        "limits": {
            "rows_per_request": model.max_rows,
            "frames_per_request": model.max_frames,
            "rows_per_run": model.backend.max_batch,
        },
        "licence": manifest.licence,
        "evaluation": None if manifest.evaluation is None else manifest.evaluation.model_dump(mode="json"),
        "training": manifest.training.model_dump(mode="json"),
    }


def _capabilities(model: ServedModel) -> list[str]:
    capabilities = ["sampling", "latents", "arithmetic", "interpolation"]
    if model.is_image:
        capabilities.append("animation")
    if model.manifest.classes is not None:
        capabilities += ["class_label", "class_mixture"]
    if TRUNCATION_MODES[model.manifest.latent.prior]:
        capabilities.append("truncation")
    return capabilities
