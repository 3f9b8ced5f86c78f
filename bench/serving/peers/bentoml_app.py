"""BentoML as its documents suggest: ``bentoml serve bentoml_app:Plain``, or ``Batched``."""

from typing import Annotated, Any

import bentoml
import numpy as np
from generator import Generator, array_file, latents, png_text
from pydantic import Field
from starlette.responses import Response


@bentoml.service(traffic={"timeout": 60})
class Plain:
    """A method a route; each runs on BentoML's worker thread."""

    def __init__(self) -> None:
        self.generator = Generator()

    @bentoml.api
    def generate(self, n: Annotated[int, Field(ge=1, le=256)] = 1, seed: int = 0) -> dict[str, Any]:
        """PNG files in base64."""
        images = self.generator.images(latents(n, seed))
        return {"images": [png_text(image) for image in images], "seed": seed}

    @bentoml.api
    def generate_raw(self, n: int = 1, seed: int = 0):  # noqa: ANN201 - BentoML would make a schema of it
        """One array."""
        return Response(array_file(self.generator.images(latents(n, seed))), media_type="application/x-npy")


@bentoml.service(traffic={"timeout": 60})
class Batched:
    """Adaptive batching, which takes one parameter that is a list."""

    def __init__(self) -> None:
        self.generator = Generator()

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=1000)
    def generate(self, seeds: list[int]) -> list[str]:
        """A PNG file in base64 for each seed."""
        drawn = self.generator.images(np.concatenate([latents(1, seed) for seed in seeds]))
        return [png_text(image) for image in drawn]
