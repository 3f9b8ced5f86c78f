"""NVIDIA Triton through pytriton, with dynamic batches: ``python triton_app.py PORT``."""

import sys

import numpy as np
from generator import Generator, latents, png_text
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

generator = Generator()


@batch
def png(seed: np.ndarray) -> dict[str, np.ndarray]:
    """A PNG file in base64 for each seed."""
    images = generator.images(np.concatenate([latents(1, int(one)) for one in seed[:, 0]]))
    return {"png": np.array([[png_text(image).encode()] for image in images], dtype=object)}


@batch
def raw(seed: np.ndarray) -> dict[str, np.ndarray]:
    """Sixty-four images of each seed."""
    return {"image": np.stack([generator.images(latents(64, int(one))) for one in seed[:, 0]])}


if __name__ == "__main__":
    port = int(sys.argv[1])
    one = generator.images(latents(1, 0)).shape[1:]
    ports = TritonConfig(
        http_address="127.0.0.1",
        http_port=port,
        grpc_port=port + 1,
        metrics_port=port + 2,
        allow_metrics=False,
    )
    seeds = [Tensor(name="seed", dtype=np.int64, shape=(1,))]
    with Triton(config=ports) as triton:
        batches = DynamicBatcher(max_queue_delay_microseconds=0)
        triton.bind(
            model_name="png",
            infer_func=png,
            inputs=seeds,
            outputs=[Tensor(name="png", dtype=bytes, shape=(1,))],
            config=ModelConfig(max_batch_size=32, batcher=batches),
        )
        triton.bind(
            model_name="raw",
            infer_func=raw,
            inputs=seeds,
            outputs=[Tensor(name="image", dtype=np.uint8, shape=(64, *one))],
            config=ModelConfig(max_batch_size=1, batcher=batches),
        )
        triton.serve()
