"""What is served is rewritten: the shipped models draw as their files do, and none is lost for it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from contract.layout import ModelDirectory
from contract.manifest import ImageOutput, read_manifest
from contract.pixels import image_batch_to_pixels
from service.engine import Engine
from service.errors import UnusableModel
from service.models.loading import load_model, quick_form
from service.models.rewriting import as_cpus_are_quick_at
from service.settings import load_settings
from tests.fakes.layers import operators

SHIPPED = Path(__file__).resolve().parents[3] / "models"
ROWS = 5


def shipped(name: str, version: int) -> onnx.ModelProto:
    return onnx.load_model_from_string(ModelDirectory(SHIPPED, name, version).generator.read_bytes())


def image_of(model: onnx.ModelProto) -> np.ndarray:
    """Return what a shipped model draws of some latents and classes."""
    random = np.random.default_rng(0)
    runtime = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    latent, weights = runtime.get_inputs()
    fed = {
        latent.name: random.standard_normal((ROWS, latent.shape[1]), np.float32),
        weights.name: np.eye(weights.shape[1], dtype=np.float32)[:ROWS],
    }
    return np.asarray(runtime.run(None, fed)[0])


@pytest.mark.parametrize(("name", "version"), [("mnist", 1), ("digits", 1), ("digits", 2)])
def test_shipped_models_draw_as_their_files_do(name: str, version: int) -> None:
    model = shipped(name, version)
    manifest, _ = read_manifest(ModelDirectory(SHIPPED, name, version).manifest.read_bytes())
    assert isinstance(manifest.output, ImageOutput)
    before, after = image_of(model), image_of(as_cpus_are_quick_at(model, 64, 2**30))
    np.testing.assert_allclose(after, before, atol=1e-5)
    levels = image_batch_to_pixels(after).astype(int) - image_batch_to_pixels(before)
    assert np.abs(levels).max() <= 1


def test_the_shipped_mnist_has_no_slow_layer_left() -> None:
    before = operators(shipped("mnist", 1))
    after = operators(as_cpus_are_quick_at(shipped("mnist", 1), 64, 2**30))
    assert before.count("Resize") == 4
    assert after.count("Resize") == 2, "those of the shortcuts, which no convolution follows"
    assert after.count("Conv") == before.count("Conv") - 3 + 2 * 4


def test_a_graph_that_cannot_be_rewritten_is_run_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a value")

    monkeypatch.setattr("service.models.loading.as_cpus_are_quick_at", fail)
    model = shipped("digits", 2)
    with caplog.at_level(logging.WARNING, "forger.repository"):
        assert quick_form(model, 64, 2**30) is model
    (record,) = caplog.records
    assert record.message == "a graph is run as it is, as it cannot be rewritten (KeyError)"


def negated(model: onnx.ModelProto, *_: object) -> onnx.ModelProto:
    """Return a graph that draws everything the other way round."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    (last,) = [node for node in result.graph.node if "image" in node.output]
    last.output[0] = f"before/{len(result.graph.node)}"
    result.graph.node.append(onnx.helper.make_node("Neg", list(last.output), ["image"]))
    return result


def test_a_model_that_draws_something_else_rewritten_is_run_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, engine: Engine
) -> None:
    monkeypatch.setattr("service.models.loading.as_cpus_are_quick_at", negated)
    with caplog.at_level(logging.WARNING, "forger.repository"):
        served = load_model(ModelDirectory(SHIPPED, "digits", 2), load_settings({}), engine, lambda *_: None)
    assert served.name == "digits"
    (record,) = caplog.records
    assert record.message.startswith("a graph is run as it is, as it is no good rewritten: the canary image")


def test_a_model_that_is_no_good_in_either_form_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, engine: Engine
) -> None:
    loading = "service.models.loading"
    monkeypatch.setattr(f"{loading}.audited", lambda file, *_: negated(onnx.load_from_string(file)))
    monkeypatch.setattr(f"{loading}.as_cpus_are_quick_at", lambda model, *_: negated(negated(model)))
    directory = ModelDirectory(SHIPPED, "digits", 2)
    with (
        caplog.at_level(logging.WARNING, "forger.repository"),
        pytest.raises(UnusableModel, match="the canary image"),
    ):
        load_model(directory, load_settings({}), engine, lambda *_: None)
    assert not caplog.records, "nothing is said of forms where the model itself is wrong"
