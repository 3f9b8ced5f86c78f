"""The engine: a row's bits do not depend on its batch, whatever the kernels do; devices are no guesses."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from contract.pixels import to_pixels
from service.engine import (
    CPU_PROVIDER,
    CUDA_PROVIDER,
    Engine,
    Graph,
    Halt,
    Session,
    choose_device,
    document_of,
    measured,
    proof_in,
)
from service.engine import devices as devices_module
from service.engine import engine as engine_module
from service.engine.padding import paddings
from service.errors import InvalidSettings
from service.models.pixel_graph import PIXELS, SUMS, with_pixels
from tests.fakes.models import COLOUR, CONDITIONAL, FakeModel, build_graph

NUMBERS = Graph("latent", None, "value", dim=3, classes=None, is_image=False)
CONDITIONAL_GRAPH = Graph(
    "latent", "class_weights", "image", dim=CONDITIONAL.dim, classes=len(CONDITIONAL.classes), is_image=True
)

Feed = dict[str, np.ndarray]


class QuirkyRuntime:
    """Stands for a session whose results depend on the batch as ``quirk`` says."""

    def __init__(self, quirk) -> None:
        self._quirk = quirk
        self.sizes: list[int] = []

    def get_providers(self) -> list[str]:
        return [CPU_PROVIDER]

    def run(
        self, outputs: list[str], feed: dict[str, np.ndarray], options: object = None
    ) -> list[np.ndarray]:
        z_ND = feed["latent"]
        self.sizes.append(len(z_ND))
        return [z_ND + np.float32(self._quirk(len(z_ND)))]


def session(quirk, max_batch: int = 32, device: str = "cpu") -> tuple[Session, QuirkyRuntime]:
    runtime = QuirkyRuntime(quirk)
    loaded = proved(runtime, NUMBERS, max_batch, device)
    runtime.sizes.clear()
    return loaded, runtime


def proved(narrow, graph: Graph, max_batch: int, device: str = "cpu", wide=None) -> Session:
    """Return a session that runs as was measured."""
    proof = measured(narrow, graph, max_batch=max_batch, device=device, wide=wide)
    return Session(narrow, graph, proof, max_batch=max_batch, wide=wide)


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
    assert (loaded.proof.padding.name, loaded.proof.bit_identical) == (padding, True)
    rows = np.arange(96, dtype=np.float32).reshape(32, 3)
    together = loaded.draw(rows, None).values
    for size in range(1, 33):
        assert loaded.draw(rows[:size], None).values.tobytes() == together[:size].tobytes()


@pytest.mark.parametrize("above", [40, 130, 600, 1500])
def test_kernels_that_change_for_large_batches_only_are_found_too(above: int) -> None:
    """Runs of vectors hold up to 2,048 rows."""
    loaded, _ = session(lambda rows: rows > above and rows % 4 != 0, max_batch=2048)
    assert (loaded.proof.padding.name, loaded.proof.bit_identical) == ("multiples of 4", True)


def test_probing_is_cheap() -> None:
    runtime = QuirkyRuntime(lambda rows: 0.0)
    proved(runtime, NUMBERS, max_batch=2048)
    assert sum(runtime.sizes) < 8 * 2048


def test_hopeless_kernels_are_served_and_told() -> None:
    calls = iter(range(10**6))
    loaded, _ = session(lambda rows: next(calls))
    assert (loaded.proof.padding.name, loaded.proof.bit_identical) == ("always 32", False)


def test_a_proof_goes_to_another_process_and_what_is_none_does_not() -> None:
    proof = measured(QuirkyRuntime(lambda rows: rows == 1), NUMBERS, max_batch=32, device="cpu")
    document = json.loads(json.dumps(document_of(proof)))
    assert document_of(proof_in(document, 32, "cpu")) == document
    engine, model, graph = Engine("cpu", threads=2), build_graph(CONDITIONAL, {}), CONDITIONAL_GRAPH
    assert engine.load(model.SerializeToString(), graph, max_batch=32, proof=proof).proof is proof
    engine.close()
    wrong: list[object] = [64, 0, "1", True, None]
    changes: list[dict[str, object]] = [{name: rows} for name in ("quantum", "best_batch") for rows in wrong]
    for change in [*changes, {"padding": "always 64"}, {"padding": None}]:
        assert proof_in(document | change, 32, "cpu") is None
    assert proof_in({}, 32, "cpu") is None


@pytest.mark.parametrize("max_batch", [1, 3, 32, 48])
def test_padding_never_exceeds_the_largest_batch(max_batch: int) -> None:
    for device in ("cpu", "cuda"):
        for padding in paddings(max_batch, device):
            loaded, runtime = session(lambda rows: 0.0, max_batch)
            loaded.proof = replace(loaded.proof, padding=padding)
            for rows in range(1, max_batch + 1):
                assert len(loaded.draw(np.ones((rows, 3), np.float32), None).values) == rows
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
    monkeypatch.setattr(devices_module, "cuda_devices", lambda: devices)
    monkeypatch.setattr(devices_module.onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(devices_module.onnxruntime, "preload_dlls", lambda: None)
    if device is None:
        with pytest.raises(InvalidSettings, match="FORGER_DEVICE='cuda'"):
            choose_device(setting)
    else:
        assert choose_device(setting) == device


def test_a_configured_gpu_that_is_not_used_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime falls back to the CPU without a word; the engine does not."""
    engine = Engine("cpu", threads=1)
    engine.device = "cuda"
    monkeypatch.setattr(engine_module, "providers", lambda device: [CPU_PROVIDER])
    graph = build_graph(CONDITIONAL, {}).SerializeToString()
    names = Graph("latent", "class_weights", "image", dim=4, classes=10, is_image=True)
    with pytest.raises(InvalidSettings, match="FORGER_DEVICE"):
        engine.load(graph, names, max_batch=4)
    engine.close()


class Painter:
    """Stands for a session of a graph that draws images and applies the pixel rule itself, or tries to."""

    def __init__(self, *, wrong: bool = False, shift: float = 0.0) -> None:
        self._wrong, self._shift = wrong, np.float32(shift)
        self.asked: list[tuple[str, ...]] = []
        self.company: list[int] = []

    def get_providers(self) -> list[str]:
        return [CPU_PROVIDER]

    def run(
        self, outputs: list[str], feed: dict[str, np.ndarray], options: object = None
    ) -> list[np.ndarray]:
        self.asked.append(tuple(outputs))
        image = (feed["latent"] + self._shift).reshape(-1, 3, 1, 1)
        finite = np.where(np.isfinite(image), image, 0)
        pixels = to_pixels(finite).transpose(0, 2, 3, 1) + np.uint8(self._wrong)
        made = {"image": image, "pixels": pixels, "sums": image.sum(axis=(1, 2, 3))}
        return [made[name] for name in outputs]


PICTURES = Graph("latent", None, "image", dim=3, classes=None, is_image=True, pixels="pixels", sums="sums")


@pytest.mark.parametrize("wrong", [False, True])
def test_pixels_are_the_graphs_own_if_they_follow_the_rule(wrong: bool) -> None:  # noqa: FBT001 - a parameter of the test
    painter = Painter(wrong=wrong)
    loaded = proved(painter, PICTURES, max_batch=8)
    painter.asked.clear()
    z_ND = np.linspace(-2, 2, 12, dtype=np.float32).reshape(4, 3)
    drawn = loaded.draw(z_ND, None)
    assert drawn.values.tolist() == to_pixels(z_ND.reshape(4, 1, 1, 3)).tolist()
    assert painter.asked == [("image",) if wrong else ("pixels", "sums")]


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_rows_that_are_no_numbers_are_told(poison: float, wrong: bool) -> None:  # noqa: FBT001 - the same
    loaded = proved(Painter(wrong=wrong), PICTURES, max_batch=8)
    z_ND = np.zeros((4, 3), np.float32)
    z_ND[2, 1] = poison
    assert loaded.draw(z_ND, None).finite_N.tolist() == [True, True, False, True]


@pytest.mark.parametrize(("shift", "used"), [(0.0, True), (1e-6, False)])
def test_a_lone_row_runs_wide_where_that_changes_no_bit(shift: float, used: bool) -> None:  # noqa: FBT001 - the same
    narrow, wide = Painter(), Painter(shift=shift)
    loaded = proved(narrow, PICTURES, max_batch=8, wide=wide)
    one, two = np.zeros((1, 3), np.float32), np.zeros((2, 3), np.float32)

    def runs() -> tuple[int, int]:
        return len(narrow.asked), len(wide.asked)

    begun = runs()
    loaded.draw(one, None, alone=True)
    alone = runs()
    loaded.draw(two, None, alone=True)
    loaded.draw(one, None)
    crowded = runs()
    assert (alone[0] - begun[0], alone[1] - begun[1]) == ((0, 1) if used else (1, 0))
    assert (crowded[0] - alone[0], crowded[1] - alone[1]) == (2, 0)


@pytest.mark.parametrize("opset", [11, 13, 18, 20])
@pytest.mark.parametrize("fake", [CONDITIONAL, COLOUR])
def test_real_graphs_make_the_same_pixels_inside_and_outside(fake: FakeModel, opset: int) -> None:
    """Values far outside of [-1, 1] and at the edges of levels included; old graphs stay as they are."""
    model = build_graph(fake, {})
    model.opset_import[0].version = opset
    next(node for node in model.graph.node if node.op_type == "Tanh").op_type = "Neg"
    engine = Engine("cpu", threads=2)
    graph = Graph(
        "latent",
        "class_weights" if fake.classes else None,
        "image",
        dim=fake.dim,
        classes=len(fake.classes) if fake.classes else None,
        is_image=True,
    )
    outside = engine.load(model.SerializeToString(), graph, max_batch=16)
    fused = with_pixels(model, "image")
    assert (fused is None) == (opset < 13)
    if fused is not None:
        own = replace(graph, pixels=PIXELS, sums=SUMS)
        inside = engine.load(fused.SerializeToString(), own, max_batch=16)
        z_ND = np.random.default_rng(0).normal(0, 2, (16, fake.dim)).astype(np.float32)
        weights = np.eye(10, dtype=np.float32)[np.arange(16) % 10] if fake.classes else None
        expected = outside.draw(z_ND, weights)
        drawn = inside.draw(z_ND, weights)
        assert {0, 255} < set(expected.values.ravel().tolist())
        assert drawn.values.dtype == np.uint8
        assert drawn.values.tobytes() == expected.values.tobytes()
        assert drawn.finite_N.all()
    engine.close()


@pytest.mark.parametrize(
    ("row_s", "most", "is_quick"), [(0.0, 32, True), (0.0008, 2, True), (0.0045, 1, False)]
)
def test_how_many_rows_keep_nobody_waiting_is_measured(row_s: float, most: int, is_quick: bool) -> None:  # noqa: FBT001 - a column of the table above
    """A run of two milliseconds at most: on a busy machine it may hold fewer rows, never more."""

    class Slow(QuirkyRuntime):
        def run(
            self, outputs: list[str], feed: dict[str, np.ndarray], options: object = None
        ) -> list[np.ndarray]:
            time.sleep(row_s * len(feed["latent"]))
            return super().run(outputs, feed)

    loaded = proved(Slow(lambda rows: 0.0), NUMBERS, max_batch=32)
    assert 1 <= loaded.quantum <= most
    assert is_quick or not loaded.is_quick


@pytest.mark.parametrize(
    ("run_s", "row_s", "best"),
    [
        (0.0, 0.0001, 32),  # all of them take less than eight milliseconds
        (0.0, 0.003, 2),
        (0.0, 0.02, 1),  # long as a single row is, two take twice as long
        (0.02, 0.0001, 32),  # rows together take hardly longer than one
        (0.02, 0.02, 16),  # from there on they save less than a twentieth
    ],
)
def test_runs_are_as_long_as_is_worth_it(
    run_s: float, row_s: float, best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)

    class Slow(QuirkyRuntime):
        def run(
            self, outputs: list[str], feed: dict[str, np.ndarray], options: object = None
        ) -> list[np.ndarray]:
            clock.now += run_s + row_s * len(feed["latent"])
            return super().run(outputs, feed)

    monkeypatch.setattr("service.engine.proof.time", SimpleNamespace(perf_counter=lambda: clock.now))
    assert proved(Slow(lambda rows: 0.0), NUMBERS, max_batch=32).proof.best_batch == best


@pytest.mark.parametrize("before_it_begins", [True, False])
def test_a_run_can_be_ended_early(
    before_it_begins: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """By ONNX Runtime itself, between two operators: this one would run for a minute."""
    size, layers = 1024, 1000
    names = ["latent", *(f"h{layer}" for layer in range(layers))]
    graph = helper.make_graph(
        [helper.make_node("MatMul", [one, one], [after]) for one, after in pairwise(names)],
        "long",
        [helper.make_tensor_value_info("latent", TensorProto.FLOAT, [size, size])],
        [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, [size, size])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    runtime = onnxruntime.InferenceSession(model.SerializeToString(), providers=[CPU_PROVIDER])
    halt = Halt()
    feed = {"latent": np.zeros((size, size), np.float32)}

    def ended_early() -> bool:
        try:
            runtime.run(None, feed, halt.options)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's own, which have no public names
            return "terminate flag" in str(error)
        return False

    if before_it_begins:
        halt.end()
        assert ended_early()
        return
    with ThreadPoolExecutor(1) as thread:
        outcome = thread.submit(ended_early)
        time.sleep(0.2)
        assert not outcome.done()
        halt.end()
        assert outcome.result(60)
