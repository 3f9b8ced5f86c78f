"""Whether a model directory holds what its manifest says, to the last byte; nothing is interpreted here."""

from __future__ import annotations

from contract.digests import sha256_digest
from contract.layout import ModelDirectory
from contract.manifest import InvalidManifest, Manifest, read_manifest
from service.errors import UnusableModel

_LARGEST_MANIFEST = 64 * 1024 * 1024


def verified_manifest(directory: ModelDirectory) -> tuple[Manifest, str]:
    """Return the directory's manifest and its digest; raises ``UnusableModel``."""
    try:
        if directory.manifest.stat().st_size > _LARGEST_MANIFEST:
            raise UnusableModel("the manifest is too large")
        manifest, digest = read_manifest(directory.manifest.read_bytes())
    except FileNotFoundError:
        raise UnusableModel("there is no manifest") from None
    except InvalidManifest as error:
        raise UnusableModel(f"the manifest is unsound: {error}") from error
    if (manifest.name, manifest.version) != (directory.name, directory.version):
        raise UnusableModel(f"the manifest is of {manifest.name}:{manifest.version}")
    return manifest, digest


def verified_files(directory: ModelDirectory, manifest: Manifest) -> dict[str, bytes]:
    """Compare every file with its entry, and return their bytes: these, and no others, are used.

    Raises ``UnusableModel`` naming the file at fault.
    """
    contents = {}
    for name, entry in manifest.files.items():
        path = directory.path / name
        if not path.is_file() or path.stat().st_size != entry.bytes:
            raise UnusableModel(f"{name} is missing or is not {entry.bytes} bytes long")
        content = path.read_bytes()
        if sha256_digest(content) != entry.sha256:
            raise UnusableModel(f"{name} has not the digest that the manifest states")
        contents[name] = content
    return contents
