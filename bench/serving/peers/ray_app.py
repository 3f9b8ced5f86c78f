"""Ray Serve with ``@serve.batch``: ``python ray_app.py PORT``."""

import os
import sys
import time
from typing import Any

import numpy as np
import ray
from generator import Generator, array_file, latents, png_text
from ray import serve
from starlette.requests import Request
from starlette.responses import Response


@serve.deployment(num_replicas=1, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.5})
class Drawing:
    """One replica with one session."""

    def __init__(self) -> None:
        self.generator = Generator()

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.002)
    async def drawn(self, seeds: list[int]) -> list[str]:
        """Draw a batch."""
        images = self.generator.images(np.concatenate([latents(1, seed) for seed in seeds]))
        return [png_text(image) for image in images]

    async def __call__(self, request: Request) -> Any:
        """PNG files in base64, or one array."""
        asked = await request.json()
        if request.url.path.startswith("/generate_raw"):
            images = self.generator.images(latents(asked["n"], asked["seed"]))
            return Response(array_file(images), media_type="application/x-npy")
        return {"images": [await self.drawn(asked["seed"])], "seed": asked["seed"]}


if __name__ == "__main__":
    passed_on = {name: os.environ[name] for name in ("BENCH_MODEL", "PYTHONDONTWRITEBYTECODE")}
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=512 * 2**20,
        runtime_env={"env_vars": passed_on | {"PYTHONPATH": os.getcwd()}},  # noqa: PTH109 - a plain script
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Drawing.bind(), route_prefix="/")
    while True:
        time.sleep(60)
