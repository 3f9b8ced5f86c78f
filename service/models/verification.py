"""Whether a model directory holds what its manifest says, to the last byte; nothing is interpreted here."""

from __future__ import annotations

from dataclasses import dataclass

from contract.digests import sha256_digest
from contract.layout import MANIFEST_FILE, ModelDirectory
from contract.manifest import MOST_BYTES, InvalidManifest, Manifest, read_manifest
from service.errors import UnusableModel
from service.models.files import opened_directory, read_file


@dataclass(frozen=True)
class Verified:
    """A directory's manifest, its digest, and the bytes of every file: these, and no others, are used."""

    manifest: Manifest
    digest: str
    files: dict[str, bytes]


def verified(directory: ModelDirectory, most_bytes: int) -> Verified:
    """Read the directory, ``most_bytes`` of it at most, and compare every file with its entry.

    Raises ``UnusableModel`` naming the file at fault.
    """
    with opened_directory(directory.path) as opened:
        manifest, digest = _manifest(opened)
        if (manifest.name, manifest.version) != (directory.name, directory.version):
            raise UnusableModel(f"the manifest is of {manifest.name}:{manifest.version}")
        total = sum(entry.bytes for entry in manifest.files.values())
        if total > most_bytes:
            raise UnusableModel(f"the files are {total} bytes long, and {most_bytes} at most are allowed")
        contents = {}
        for name, entry in manifest.files.items():
            content = read_file(opened, name, entry.bytes)
            if len(content) != entry.bytes:
                raise UnusableModel(f"{name} is {len(content)} bytes long, not {entry.bytes}")
            if sha256_digest(content) != entry.sha256:
                raise UnusableModel(f"{name} has not the digest that the manifest states")
            contents[name] = content
        return Verified(manifest, digest, contents)


def _manifest(directory: int) -> tuple[Manifest, str]:
    try:
        return read_manifest(read_file(directory, MANIFEST_FILE, MOST_BYTES))
    except InvalidManifest as error:
        raise UnusableModel(f"the manifest is unsound: {error}") from error
