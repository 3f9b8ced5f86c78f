"""Hostile and corrupt model directories, made from a sound one, each with the reason to be given for it."""

from __future__ import annotations

import base64
import json
import os
import socket
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from contract.digests import sha256_digest
from contract.layout import ModelDirectory

Change = Callable[[ModelDirectory], None]
GraphChange = Callable[[onnx.ModelProto], None]


def rewrite_manifest(directory: ModelDirectory, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(directory.manifest.read_text())
    change(document)
    directory.manifest.write_text(json.dumps(document))


def restate(directory: ModelDirectory) -> None:
    """Make the manifest's digest of the graph right: what a digest cannot catch."""
    data = directory.generator.read_bytes()
    entry = {"sha256": sha256_digest(data), "bytes": len(data)}
    rewrite_manifest(directory, lambda document: document["files"].update({"generator.onnx": entry}))


def rewrite_graph(directory: ModelDirectory, change: GraphChange) -> None:
    """Change the ONNX file, and make its digest right again."""
    model = onnx.load_model_from_string(directory.generator.read_bytes())
    change(model)
    directory.generator.write_bytes(model.SerializeToString())
    restate(directory)


# Files.


def cut(share: float) -> Change:
    def change(directory: ModelDirectory) -> None:
        data = directory.generator.read_bytes()
        directory.generator.write_bytes(data[: int(len(data) * share)])
        restate(directory)

    return change


def cut_manifest(share: float) -> Change:
    def change(directory: ModelDirectory) -> None:
        data = directory.manifest.read_bytes()
        directory.manifest.write_bytes(data[: int(len(data) * share)])

    return change


def flip_a_weight(directory: ModelDirectory) -> None:
    data = bytearray(directory.generator.read_bytes())
    data[len(data) // 2] ^= 1
    directory.generator.write_bytes(data)


def replaced(make: Callable[[Path], object]) -> Change:
    """Return the change that puts something else where the graph's file is."""

    def change(directory: ModelDirectory) -> None:
        directory.generator.rename(directory.path / "aside")
        make(directory.generator)

    return change


def _listen_at(path: Path) -> None:
    """Leave a socket behind; its path may not be long."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


FILES: dict[str, tuple[Change, str]] = {
    **{
        f"graph cut at {share}": (cut(share), "no ONNX file|metadata differ")
        for share in np.arange(0, 1, 0.06)
    },
    **{f"manifest cut at {share}": (cut_manifest(share), "manifest") for share in np.arange(0, 1, 0.12)},
    "a flipped bit": (flip_a_weight, "generator.onnx has not the digest"),
    "a symbolic link": (replaced(lambda path: path.symlink_to("aside")), "generator.onnx is a symbolic link"),
    "a link to elsewhere": (replaced(lambda path: path.symlink_to("/etc/passwd")), "is a symbolic link"),
    "a hard link": (
        replaced(lambda path: path.hardlink_to(path.with_name("aside"))),
        "generator.onnx is a hard link: 2 names",
    ),
    "a directory": (replaced(Path.mkdir), "generator.onnx is no regular file"),
    "a fifo": (replaced(os.mkfifo), "generator.onnx is no regular file"),
    "a socket": (replaced(_listen_at), "generator.onnx is no regular file"),
    "nothing": (replaced(lambda path: None), "generator.onnx is missing"),
    "a file of 10 TiB": (
        replaced(lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 10 * 2**40)),
        r"generator.onnx is \d+ bytes long, and \d+ at most are allowed",
    ),
    "a manifest that is a fifo": (
        lambda directory: (directory.manifest.unlink(), os.mkfifo(directory.manifest)),
        "manifest.json is no regular file",
    ),
    "a manifest of 65 MiB": (
        lambda directory: os.truncate(directory.manifest, 65 * 2**20),
        "manifest.json is 68157440 bytes long",
    ),
}


# Manifests.


def manifest_with(**values: object) -> Change:
    """Return the change that puts values at places such as ``latent__dim``."""

    def change(directory: ModelDirectory) -> None:
        document = json.loads(directory.manifest.read_text())
        for place, value in values.items():
            inner, *names = document, *place.split("__")
            for name in names[:-1]:
                inner = inner[name]
            inner[names[-1]] = value
        directory.manifest.write_text(json.dumps(document))

    return change


def manifest_text(old: str, new: str) -> Change:
    def change(directory: ModelDirectory) -> None:
        text = directory.manifest.read_text()
        assert old in text
        directory.manifest.write_text(text.replace(old, new, 1))

    return change


def inflating_canary(directory: ModelDirectory) -> None:
    data = base64.b64encode(zlib.compress(bytes(256 * 2**20), 9)).decode()
    rewrite_manifest(directory, lambda document: document["canaries"][0].update(data=data))


_ENTRY = {"sha256": "sha256:" + "0" * 64, "bytes": 1}
MANIFESTS: dict[str, tuple[Change, str]] = {
    "of another model": (manifest_with(name="other"), "the manifest is of other:1"),
    "of another version": (manifest_with(version=2), "the manifest is of grey:2"),
    "an absurd length": (manifest_with(latent__dim=10**12), "latent.dim"),
    "an absurd picture": (manifest_with(output__height=10**9), "output.image.height"),
    "no picture": (manifest_with(output__height=0), "output.image.height"),
    "a number without end": (manifest_text('"steps": 0', f'"steps": {"9" * 4000}'), "more than 64 bits"),
    "a number above 64 bits": (manifest_with(training__steps=2**63), "more than 64 bits"),
    "no number": (manifest_text('"tolerance": 0.0001', '"tolerance": NaN'), "NaN is not JSON"),
    "an infinite number": (manifest_text('"tolerance": 0.0001', '"tolerance": 1e999'), "not a JSON document"),
    "wild weights": (
        lambda directory: rewrite_manifest(
            directory, lambda document: document["canaries"][0].update(class_weights=[1e300] * 10)
        ),
        "class_weights",
    ),
    "depth": (manifest_with(training__config=json.loads('{"x":' * 99 + "1" + "}" * 99)), "nested deeper"),
    "great depth": (lambda directory: directory.manifest.write_text("[" * 90_000), "deeper|not a JSON"),
    "many values": (manifest_with(training__config={"x": [[]] * 300_000}), "more than 200000 values"),
    "much text": (manifest_with(description="x" * 2**21), "bytes beside the canaries' data"),
    "half a letter": (manifest_text('"licence": "', '"licence": "\\ud800'), "not a JSON document"),
    "a file above": (
        manifest_with(files={"../x": _ENTRY}), "files must list generator"
    ),
    "a file elsewhere": (
        lambda directory: rewrite_manifest(
            directory, lambda document: document["files"].update({"/etc/passwd": _ENTRY})
        ),
        "plain names inside the model directory",
    ),
    "a file of no possible name": (
        lambda directory: rewrite_manifest(
            directory, lambda document: document["files"].update({"\0": _ENTRY})
        ),
        "plain names inside the model directory",
    ),
    "a file of an exbibyte": (
        lambda directory: rewrite_manifest(
            directory, lambda document: document["files"]["generator.onnx"].update(bytes=2**60)
        ),
        "at most are allowed",
    ),
    "many canaries": (
        lambda directory: rewrite_manifest(
            directory, lambda document: document.update(canaries=document["canaries"] * 1000)
        ),
        "canaries",
    ),
    "a canary that inflates": (inflating_canary, "the manifest is unsound: canaries: data"),
    "other classes": (manifest_with(classes=list("abcdefghij")), "metadata differ"),
    "another shape": (manifest_with(output__height=7), "metadata differ"),
    "another output": (manifest_with(graph__output="flat"), "no output 'flat'"),
}  # fmt: skip
