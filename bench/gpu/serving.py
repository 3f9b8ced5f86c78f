"""How fast a GPU serves: latency and images per second of the engine, beside raw ONNX Runtime and torch.

For each batch size and generator: raw ``session.run`` as one writes it by hand, the same with inputs and
outputs bound to fixed memory, with a CUDA graph on top, with the pixel rule in the graph, and in float16; the
service's own session; and torch, eager and compiled. All draw the same latents; medians of several rounds.

    .venv/bin/python -m bench.gpu.serving                           # with onnxruntime-gpu: ten minutes
    .venv/bin/python -m bench.gpu.serving --device cpu --quick      # that all of it runs: a minute
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from bench.serving.models import GENERATORS, LATENT_DIM, with_random_weights
from contract.manifest import ImageOutput
from service.engine import Engine, Graph
from service.models.pixel_graph import PIXELS, SUMS, with_pixels
from training.export.graph import in_float16, to_onnx
from training.networks import GeneratorSpec

RESULTS = Path(__file__).parent.parent / "results" / "gpu-serving.json"
_ROUNDS, _ROUND_S = 7, 0.3

Draw = Callable[[], object]


def _session(model: bytes, device: str, **options: str) -> Any:  # noqa: ANN401 - onnxruntime is untyped
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    chosen: list[Any] = ["CPUExecutionProvider"]
    if device == "cuda":
        onnxruntime.preload_dlls()
        cuda = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0", **options}
        chosen.insert(0, ("CUDAExecutionProvider", cuda))
    session = onnxruntime.InferenceSession(model, settings, providers=chosen)
    wanted = "CUDAExecutionProvider" if device == "cuda" else "CPUExecutionProvider"
    if session.get_providers()[0] != wanted:
        raise SystemExit(f"ONNX Runtime runs on {session.get_providers()[0]}, not on {wanted}")
    return session


def _bound(session: Any, z_ND: np.ndarray, output: str, device: str) -> Draw:  # noqa: ANN401 - the same
    """Return a run whose input and output stay where they are on the device; the result is copied back."""
    binding = session.io_binding()
    fed = onnxruntime.OrtValue.ortvalue_from_numpy(z_ND, device, 0)
    binding.bind_ortvalue_input("latent", fed)
    first = session.run([output], {"latent": z_ND})[0]
    drawn = onnxruntime.OrtValue.ortvalue_from_shape_and_type(first.shape, first.dtype, device, 0)
    binding.bind_ortvalue_output(output, drawn)

    def draw() -> object:
        fed.update_inplace(z_ND)
        session.run_with_iobinding(binding)
        return drawn.numpy()

    return draw


def ways(name: str, rows: int, device: str) -> Iterator[tuple[str, Draw]]:
    """Yield every way to draw so many rows with a generator."""
    build, output = GENERATORS[name]
    assert isinstance(output, ImageOutput)
    torch.manual_seed(0)
    generator = with_random_weights(build(LATENT_DIM), LATENT_DIM).eval()
    model = to_onnx(generator, GeneratorSpec(LATENT_DIM, None, output), {})
    fused = with_pixels(onnx.load_model_from_string(model), "image")
    assert fused is not None
    z_ND = np.random.default_rng(0).standard_normal((rows, LATENT_DIM), dtype=np.float32)
    raw = _session(model, device)
    yield "raw session.run", lambda: raw.run(["image"], {"latent": z_ND})
    yield "bound", _bound(raw, z_ND, "image", device)
    in_bytes = fused.SerializeToString()
    pixels = _session(in_bytes, device)
    yield "bound, pixels in the graph", _bound(pixels, z_ND, PIXELS, device)
    if device == "cuda":
        captured = _session(in_bytes, device, enable_cuda_graph="1")
        yield "bound, pixels, CUDA graph", _bound(captured, z_ND, PIXELS, device)
    half = with_pixels(onnx.load_model_from_string(in_float16(model)), "image")
    assert half is not None
    yield "bound, pixels, float16", _bound(_session(half.SerializeToString(), device), z_ND, PIXELS, device)
    engine = Engine("cuda" if device == "cuda" else "cpu", threads=2)
    graph = Graph("latent", None, "image", dim=LATENT_DIM, classes=None, is_image=True)
    served = engine.load(in_bytes, replace(graph, pixels=PIXELS, sums=SUMS), max_batch=max(rows, 2))
    yield "the service's session", lambda: served.draw(z_ND, None)
    yield from _torch_ways(generator.to(device), z_ND, device)


def _torch_ways(generator: torch.nn.Module, z_ND: np.ndarray, device: str) -> Iterator[tuple[str, Draw]]:
    def drawn_by(network: Callable[[torch.Tensor], torch.Tensor]) -> Draw:
        @torch.inference_mode()
        def draw() -> object:
            image = network(torch.from_numpy(z_ND).to(device))
            levels = image.mul(127.5).add(127.5).round().clamp(0, 255)
            return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()

        return draw

    yield "torch, eager", drawn_by(generator)
    if device == "cuda":
        yield "torch, compiled", drawn_by(torch.compile(generator, mode="reduce-overhead"))


def seconds(draw: Draw, rounds: int, round_s: float) -> float:
    """Return the median time of one call."""
    for _ in range(3):
        draw()
    times = []
    for _ in range(rounds):
        done, begun = 0, time.perf_counter()
        while (spent := time.perf_counter() - begun) < round_s:
            draw()
            done += 1
        times.append(spent / done)
    return statistics.median(times)


def main() -> None:
    """Measure all; print a table and write ``bench/results/gpu-serving.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="two sizes, and next to no time for each")
    options = parser.parse_args()
    sizes = (1, 4) if options.quick else (1, 8, 32, 64, 256)
    rounds, round_s = (2, 0.02) if options.quick else (_ROUNDS, _ROUND_S)
    rows = []
    print("| generator | rows | way | ms | images/s | × raw |\n|---|---|---|---|---|---|")
    for name in GENERATORS:
        for size in sizes:
            first = None
            for way, draw in ways(name, size, options.device):
                spent = seconds(draw, rounds, round_s)
                first = first or spent
                figures = {"ms": spent * 1e3, "images_per_s": size / spent, "ratio": first / spent}
                rows.append({"generator": name, "rows": size, "way": way, **figures})
                shown = " | ".join(f"{figures[key]:.2f}" for key in figures)
                print(f"| {name} | {size} | {way} | {shown} |", flush=True)
    if not options.quick:
        chip = torch.cuda.get_device_name() if options.device == "cuda" else platform.processor()
        RESULTS.write_text(json.dumps({"device": chip, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
