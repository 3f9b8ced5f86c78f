"""Forger's engine with next to nothing around it: no validation, metrics, deadlines, models, queue limits.

What is left is what any service pays for: uvicorn, latents, hand-overs to threads, ONNX Runtime, PNG. The
practical ceiling of a Python process. ``uvicorn bare_app:app``, with Forger's own environment.
"""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import orjson
from pybase64 import b64encode_as_string

from contract.latents import standard_normal
from service.encoding import encode_npy
from service.engine import Engine, Graph
from service.models.pixel_graph import PIXELS, SUMS, with_pixels
from service.models.rewriting import as_cpus_are_quick_at
from service.png import encode_png

_LANES, _MOST = os.cpu_count() or 1, 32


class Rows:
    """Rows of one request that wait, and where they are taken when they are drawn."""

    def __init__(self, seed: int, first: int, count: int) -> None:
        self.seed, self.first, self.count = seed, first, count
        self.drawn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class Bare:
    """Greedy batches on so many threads."""

    def __init__(self) -> None:
        self._engine = Engine("cpu", _LANES)
        model = as_cpus_are_quick_at(onnx.load(Path(os.environ["BENCH_MODEL"])), _MOST, 2**30)
        in_pixels = with_pixels(model, "image")
        assert in_pixels is not None
        graph = Graph("latent", None, "image", 100, None, is_image=True, pixels=PIXELS, sums=SUMS)
        self._session = self._engine.load(in_pixels.SerializeToString(), graph, max_batch=_MOST)
        self._waiting: list[Rows] = []
        self._busy = 0

    def submit(self, rows: Rows) -> asyncio.Future[Any]:
        """Queue the rows."""
        self._waiting.append(rows)
        self._pump()
        return rows.drawn

    def _pump(self) -> None:
        while self._waiting and self._busy < _LANES:
            self._busy += 1
            taken = self._taken(-(-sum(rows.count for rows in self._waiting) // (_LANES - self._busy + 1)))
            self._engine.lanes.run(self._ended(taken), self._draw, taken)

    def _taken(self, share: int) -> list[Rows]:
        """Take about so many of the rows that wait, and no more than a run may have."""
        taken: list[Rows] = []
        count = 0
        while self._waiting and count < share and count + self._waiting[0].count <= _MOST:
            count += self._waiting[0].count
            taken.append(self._waiting.pop(0))
        return taken

    def _draw(self, batch: list[Rows]) -> Any:
        seeds = [rows.seed for rows in batch for _ in range(rows.count)]
        indices = [rows.first + row for rows in batch for row in range(rows.count)]
        return self._session.draw(standard_normal(seeds, indices, 100), None).values

    def _ended(self, batch: list[Rows]) -> Callable[..., None]:
        loop = asyncio.get_running_loop()

        def ended(drawn: Any, error: Exception | None) -> None:
            if error is not None:
                raise error
            self._busy -= 1
            self._pump()
            first = 0
            for rows in batch:
                rows.drawn.set_result(drawn[first : first + rows.count])
                first += rows.count

        return partial(loop.call_soon_threadsafe, ended)


bare = Bare()


async def app(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """An ASGI app of two paths."""
    if scope["type"] != "http":
        return
    asked = orjson.loads((await receive())["body"])
    pieces = [
        Rows(asked["seed"], first, min(_MOST, asked["n"] - first)) for first in range(0, asked["n"], _MOST)
    ]
    images = np.concatenate(await asyncio.gather(*(bare.submit(rows) for rows in pieces)))
    if scope["path"] == "/generate_raw":
        media_type, body = b"application/x-npy", encode_npy(images)
    else:
        texts = [b64encode_as_string(encode_png(image, b"seed", b"%d" % asked["seed"])) for image in images]
        media_type, body = b"application/json", orjson.dumps({"images": texts})
    headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
