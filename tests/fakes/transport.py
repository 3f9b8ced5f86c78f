"""A service that is a function: what it answers is written by the test, and no network is there."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import numpy as np

DIGEST = "sha256:" + "0" * 64
ORIGIN = {"X-Model": "grey", "X-Model-Version": "1", "X-Model-Digest": DIGEST, "X-Request-Id": "r-1"}


def model_document(
    *, kind: str = "image", classes: list[str] | None = None, limit: int = 64
) -> dict[str, Any]:
    """Return what a service says of a model of images ``[2, 2, 1]`` or of vectors ``[2]``."""
    return {
        "name": "grey",
        "version": 1,
        "versions": [1],
        "default": True,
        "digest": DIGEST,
        "classes": None if classes is None else [{"index": k, "name": one} for k, one in enumerate(classes)],
        "latent": {"dim": 4, "prior": "normal"},
        "output": {"kind": kind, "shape": [2, 2, 1] if kind == "image" else [2]},
        "truncation_modes": ["threshold", "scale"],
        "limits": {"rows_per_request": limit, "frames_per_request": 512},
        "provider": "CPUExecutionProvider",
    }


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def fact(index: int, seed: int = 0, **other: Any) -> dict[str, Any]:
    return {"role": "sample", "seed": seed, "index": index, "class_label": None, "latent_b64": None, **other}


def archive(facts: list[Mapping[str, Any]] | None, files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        for name, content in files.items():
            written.writestr(name, content)
        if facts is not None:
            written.writestr("manifest.jsonl", "\n".join(json.dumps(one) for one in facts))
    return file.getvalue()


def drawn(body: Mapping[str, Any]) -> httpx.Response:
    """Answer as the service does, with an archive of arrays; a pixel's level is its index mod 256."""
    indices = range(body["index"], body["index"] + body["n"])
    files = {f"{k:06d}.npy": npy(np.full((2, 2, 1), k % 256, np.uint8)) for k in indices}
    facts = [fact(k, body["seed"]) for k in indices]
    headers = {**ORIGIN, "content-type": "application/zip"}
    return httpx.Response(200, headers=headers, content=archive(facts, files))


def service(
    generate: Callable[[httpx.Request, Mapping[str, Any]], httpx.Response],
    model: Mapping[str, Any] | None = None,
    seen: list[httpx.Request] | None = None,
) -> httpx.MockTransport:
    """Return a transport to a service of one model; ``generate`` answers everything that draws."""
    document = model or model_document()

    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        if request.url.path.endswith("/models"):
            return httpx.Response(200, json={"data": [document]})
        if request.url.path.startswith("/models/"):
            return httpx.Response(200, json=document)
        return generate(request, json.loads(request.content) if request.content else {})

    return httpx.MockTransport(answer)
