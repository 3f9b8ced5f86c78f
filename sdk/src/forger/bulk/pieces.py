"""What one request of a bulk run brings: arrays with their classes, or files with their facts."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from forger.bulk.job import Job
from forger.errors import BadAnswer
from forger.requests import NPY, ZIP, Call, array_of, labels_in, origin_of

NO_CLASS = -1
"""The class of an image that is a mixture."""


@dataclass(frozen=True)
class File:
    """One image as a PNG file, and what the service says of it."""

    content: bytes
    index: int
    label: Mapping[str, Any] | None
    """``index``, ``name`` and ``weights`` of its class, or None without classes."""


@dataclass(frozen=True)
class Piece:
    """Some images that follow one another, all as ``array`` with ``labels``, or all as ``files``.

    ``array`` is uint8 ``[N, H, W, C]`` or float32 ``[N, size]``; ``labels`` int64 ``[N]``, of models with
    classes.
    """

    digest: str
    array: NDArray[Any] | None = None
    labels: NDArray[np.int64] | None = None
    files: tuple[File, ...] = ()


def as_arrays(job: Job, indices: range) -> Call[Piece]:
    """Return the call that draws these images as one array."""

    def read(response: httpx.Response) -> Piece:
        array = array_of(response.content)
        dtype = np.dtype(np.uint8 if job.draws_images else np.float32)
        if (array.shape, array.dtype) != ((len(indices), *job.shape), dtype):
            came = f"{array.dtype} {list(array.shape)}"
            raise BadAnswer(f"{len(indices)} of {list(job.shape)} were asked for, and {came} came")
        return Piece(origin_of(response).digest, array, _labels(job, response, len(indices)))

    return Call("POST", "/generate", read, job.body(indices), NPY)


def as_files(job: Job, indices: range) -> Call[Piece]:
    """Return the call that draws these images as PNG files."""

    def read(response: httpx.Response) -> Piece:
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            facts = [json.loads(line) for line in archive.read("manifest.jsonl").splitlines()]
            names = [name for name in archive.namelist() if name.endswith(".png")]
            files = [
                File(archive.read(name), fact["index"], fact["class_label"])
                for name, fact in zip(names, facts, strict=True)
            ]
        if [file.index for file in files] != list(indices):
            raise BadAnswer(f"images {indices.start} to {indices.stop - 1} were asked for, and others came")
        return Piece(origin_of(response).digest, files=tuple(files))

    return Call("POST", "/generate", read, {**job.body(indices), "output_format": "png"}, ZIP)


def _labels(job: Job, response: httpx.Response, count: int) -> NDArray[np.int64] | None:
    if job.classes is None:
        return None
    labels = labels_in(response, job.classes, count)
    if labels is None and isinstance(job.class_label, Mapping):
        return np.full(count, NO_CLASS, np.int64)
    if labels is None or len(labels) != count:
        raise BadAnswer(f"the answer from {response.url} does not tell the classes of its {count} images")
    return labels
