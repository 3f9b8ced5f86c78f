"""An exported model directory as something to judge: its file, proved, and the data that it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contract.digests import sha256_digest
from contract.layout import GENERATOR_FILE, MANIFEST_FILE
from contract.manifest import ImageOutput, InvalidManifest, Manifest, read_manifest
from training.config import FolderOptions
from training.data import EMBEDDED, Dataset, load_dataset
from training.errors import ConfigError, DataError, RunError
from training.networks import GeneratorSpec


@dataclass(frozen=True)
class Exported:
    """A model directory that was read: its manifest, the manifest's digest, the ONNX file's bytes."""

    path: Path
    manifest: Manifest
    digest: str
    graph: bytes

    @property
    def spec(self) -> GeneratorSpec:
        """What the graph takes and puts out."""
        manifest = self.manifest
        classes = None if manifest.classes is None else len(manifest.classes)
        return GeneratorSpec(manifest.latent.dim, classes, manifest.output)


def read_exported(path: Path) -> Exported:
    """Read a model directory; raises ``RunError`` if it is none, or not as it was written."""
    try:
        manifest, digest = read_manifest((path / MANIFEST_FILE).read_bytes())
        graph = (path / GENERATOR_FILE).read_bytes()
    except (InvalidManifest, FileNotFoundError) as error:
        raise RunError(f"{path} is no exported model: {error}") from error
    if sha256_digest(graph) != manifest.files[GENERATOR_FILE].sha256:
        raise RunError(f"{path / GENERATOR_FILE} is not the file that was exported: its digest differs")
    return Exported(path, manifest, digest, graph)


def dataset_of(
    exported: Exported, source: str | None, cache_dir: Path, options: FolderOptions | None = None
) -> Dataset:
    """Return the data that the model was trained on: an embedded set by its name, others from ``source``.

    Images are read as the model draws them, in its size and channels. Raises ``ConfigError`` if a source
    is needed, and ``DataError`` if the data is not what the manifest's digest says.
    """
    facts, output = exported.manifest.training.dataset, exported.manifest.output
    if source is None and facts.name not in EMBEDDED:
        raise ConfigError(f"{exported.path} was trained on {facts.name!r}: say with --data where that lies")
    options = options or FolderOptions()
    if isinstance(output, ImageOutput):
        drawn = {"size": (output.height, output.width), "channels": output.channels}
        options = FolderOptions.model_validate(options.model_dump() | drawn)
    dataset = load_dataset(source or facts.name, cache_dir, options)
    if dataset.digest != facts.digest:
        raise DataError(
            f"the data {source or facts.name!r} is not what {exported.path} was trained on: its digest is "
            f"{dataset.digest[:19]}…, and the manifest names {facts.digest[:19]}…"
        )
    return dataset
