"""The engine: a row's bits do not depend on its batch, whatever the kernels do; devices are no guesses."""

from __future__ import annotations

import numpy as np
import pytest

from service import engine as engine_module
from service.engine import CPU_PROVIDER, CUDA_PROVIDER, Engine, GraphNames, Session, choose_device, paddings
from service.errors import InvalidSettings
from tests.fakes.models import CONDITIONAL, build_graph


class QuirkyRuntime:
    """Stands for a session whose results depend on the batch as ``quirk`` says."""

    def __init__(self, quirk) -> None:
        self._quirk = quirk
        self.sizes: list[int] = []

    def get_providers(self) -> list[str]:
        return [CPU_PROVIDER]

    def run(self, outputs: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        z_ND = feed["latent"]
        self.sizes.append(len(z_ND))
        return [z_ND + np.float32(self._quirk(len(z_ND)))]


def session(quirk, max_batch: int = 32, device: str = "cpu") -> tuple[Session, QuirkyRuntime]:
    runtime = QuirkyRuntime(quirk)
    loaded = Session(runtime, GraphNames("latent", None, "image"), 3, None, max_batch, device)
    runtime.sizes.clear()
    return loaded, runtime


@pytest.mark.parametrize(
    ("quirk", "padding"),
    [
        (lambda rows: 0.0, "none"),
        (lambda rows: rows == 1, "at least 2"),
        (lambda rows: rows % 4 != 0, "multiples of 4"),
        (lambda rows: rows % 8 != 0, "multiples of 8"),
        (lambda rows: rows.bit_count() != 1, "powers of two"),
        (lambda rows: rows, "always 32"),
    ],
)
def test_the_least_padding_is_chosen_under_which_rows_keep_their_bits(quirk, padding: str) -> None:
    loaded, _ = session(quirk)
    assert (loaded.padding.name, loaded.bit_identical) == (padding, True)
    rows = np.arange(96, dtype=np.float32).reshape(32, 3)
    together = loaded.draw(rows, None)
    for size in range(1, 33):
        assert loaded.draw(rows[:size], None).tobytes() == together[:size].tobytes()


@pytest.mark.parametrize("above", [40, 130, 600, 1500])
def test_kernels_that_change_for_large_batches_only_are_found_too(above: int) -> None:
    """Runs of vectors hold up to 2,048 rows."""
    loaded, _ = session(lambda rows: rows > above and rows % 4 != 0, max_batch=2048)
    assert (loaded.padding.name, loaded.bit_identical) == ("multiples of 4", True)


def test_probing_is_cheap() -> None:
    runtime = QuirkyRuntime(lambda rows: 0.0)
    Session(runtime, GraphNames("latent", None, "image"), 3, None, 2048, "cpu")
    assert sum(runtime.sizes) < 8 * 2048


def test_hopeless_kernels_are_served_and_told() -> None:
    calls = iter(range(10**6))
    loaded, _ = session(lambda rows: next(calls))
    assert (loaded.padding.name, loaded.bit_identical) == ("always 32", False)


@pytest.mark.parametrize("max_batch", [1, 3, 32, 48])
def test_padding_never_exceeds_the_largest_batch(max_batch: int) -> None:
    for device in ("cpu", "cuda"):
        for padding in paddings(max_batch, device):
            loaded, runtime = session(lambda rows: 0.0, max_batch)
            loaded.padding = padding
            for rows in range(1, max_batch + 1):
                assert len(loaded.draw(np.ones((rows, 3), np.float32), None)) == rows
            assert max(runtime.sizes) <= max_batch


def test_cuda_runs_few_shapes() -> None:
    loaded, runtime = session(lambda rows: 0.0, device="cuda")
    for rows in range(1, 33):
        loaded.draw(np.ones((rows, 3), np.float32), None)
    assert set(runtime.sizes) == {1, 2, 4, 8, 16, 32}


@pytest.mark.parametrize(
    ("setting", "devices", "built_in", "device"),
    [
        ("cpu", 1, True, "cpu"),
        ("auto", 0, True, "cpu"),
        ("auto", 1, False, "cpu"),
        ("auto", 1, True, "cuda"),
        ("cuda", 1, True, "cuda"),
        ("cuda", 0, True, None),
        ("cuda", 1, False, None),
    ],
)
def test_a_device_is_used_only_if_it_is_there_and_never_silently_left(
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    devices: int,
    built_in: bool,  # noqa: FBT001 - a column of the table above
    device: str | None,
) -> None:
    providers = [CUDA_PROVIDER, CPU_PROVIDER] if built_in else [CPU_PROVIDER]
    monkeypatch.setattr(engine_module, "cuda_devices", lambda: devices)
    monkeypatch.setattr(engine_module.onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(engine_module.onnxruntime, "preload_dlls", lambda: None)
    if device is None:
        with pytest.raises(InvalidSettings, match="FORGER_DEVICE='cuda'"):
            choose_device(setting)
    else:
        assert choose_device(setting) == device


def test_a_configured_gpu_that_is_not_used_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime falls back to the CPU without a word; the engine does not."""
    engine = Engine("cpu", threads=1)
    engine.device = "cuda"
    monkeypatch.setattr(engine_module, "_providers", lambda device: [CPU_PROVIDER])
    graph = build_graph(CONDITIONAL, {}).SerializeToString()
    names = GraphNames("latent", "class_weights", "image")
    with pytest.raises(InvalidSettings, match="FORGER_DEVICE"):
        engine.load(graph, names, dim=4, classes=10, max_batch=4)
    engine.close()
