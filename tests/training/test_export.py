"""What is exported is what was trained; anything else is refused, and nothing half-made appears."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from contract.digests import sha256_digest
from contract.latents import Prior
from contract.layout import ModelDirectory
from contract.manifest import read_manifest
from training.config import RunConfig
from training.data import Dataset, load_dataset
from training.errors import ExportError
from training.export import ExportRequest, export
from training.export.graph import onnx_runner, read_metadata
from training.export.parity import (
    FLOAT16_TOLERANCE,
    TOLERANCE,
    check_classes_matter,
    check_parity,
    measure_batch_invariance,
)
from training.networks import GeneratorSpec
from training.recipe_config import override
from training.recipes import recipe_named
from training.run import RunDirectory
from training.sampling import Runner, Sampler, torch_runner
from training.trainer import Trainer

TINY = ["networks.generator_channels=4", "networks.discriminator_channels=4", "latent.dim=6"]


def _trainer(path: Path, dataset: Dataset, recipe: str, settings: list[str]) -> Trainer:
    config = RunConfig(
        recipe=override(recipe_named(recipe), settings), data=dataset.name, dataset_digest=dataset.digest
    )
    return Trainer(config, dataset, RunDirectory(path), torch.device("cpu"))


@pytest.fixture(scope="module")
def digits(cache: Path) -> Dataset:
    return load_dataset("digits", cache)


@pytest.fixture(scope="module")
def trainer(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    return _trainer(tmp_path_factory.mktemp("run"), digits, "default", TINY)


@pytest.fixture(scope="module")
def exported(trainer: Trainer, digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> ModelDirectory:
    request = ExportRequest("tiny", tmp_path_factory.mktemp("models"), "A test.", "Apache-2.0")
    return export(trainer, digits, None, request)


def test_the_directory_proves_itself(exported: ModelDirectory, digits: Dataset) -> None:
    manifest, _ = read_manifest(exported.manifest.read_bytes())
    assert sorted(path.name for path in exported.path.iterdir()) == [
        "generator.onnx",
        "manifest.json",
        "preview.png",
    ]
    for name, entry in manifest.files.items():
        data = (exported.path / name).read_bytes()
        assert (entry.sha256, entry.bytes) == (sha256_digest(data), len(data))
    assert manifest.classes == digits.class_names
    assert manifest.training.dataset.digest == digits.digest
    assert manifest.parity.max_abs_difference < TOLERANCE
    assert manifest.parity.cases == 4 * 11
    assert read_metadata(exported.generator.read_bytes()) == manifest.essentials()


def test_the_graph_takes_any_batch_and_holds_no_randomness(exported: ModelDirectory) -> None:
    model = onnx.load(exported.generator)
    inputs = {value.name: value.type.tensor_type for value in model.graph.input}
    assert set(inputs) == {"latent", "class_weights"}
    assert all(tensor.shape.dim[0].dim_param for tensor in inputs.values())
    assert [value.name for value in model.graph.output] == ["image"]
    assert model.opset_import[0].version == 20
    operators = {node.op_type for node in model.graph.node}
    assert not {name for name in operators if "Random" in name or "BatchNorm" in name}
    assert all(not tensor.external_data for tensor in model.graph.initializer)


def test_nothing_of_the_machine_stays_in_the_file(exported: ModelDirectory) -> None:
    data = exported.generator.read_bytes()
    assert b".py" not in data
    assert str(Path.cwd()).encode() not in data


def test_canaries_are_what_the_file_draws(exported: ModelDirectory, trainer: Trainer) -> None:
    manifest, _ = read_manifest(exported.manifest.read_bytes())
    runner = onnx_runner(exported.generator.read_bytes(), trainer.spec)
    sampler = Sampler(runner, trainer.spec, Prior.NORMAL)
    for canary in manifest.canaries:
        label = np.array([np.argmax(canary.class_weights)])
        drawn = sampler.draw(canary.seed, np.array([canary.index]), label)[0]
        assert np.array_equal(drawn, canary.array(manifest.output))


def test_a_float16_variant_has_its_own_parity_and_draws_nearly_the_same(
    trainer: Trainer, digits: Dataset, tmp_path: Path
) -> None:
    request = ExportRequest("halved", tmp_path, "", "Apache-2.0", float16=True)
    directory = export(trainer, digits, None, request)
    manifest, _ = read_manifest(directory.manifest.read_bytes())
    assert set(manifest.files) == {"generator.onnx", "generator.fp16.onnx", "preview.png"}
    assert manifest.float16_parity is not None
    assert TOLERANCE < manifest.float16_parity.tolerance == FLOAT16_TOLERANCE
    assert 0 < manifest.float16_parity.max_abs_difference < FLOAT16_TOLERANCE
    half = (directory.path / "generator.fp16.onnx").read_bytes()
    assert len(half) < 0.7 * directory.generator.stat().st_size
    assert read_metadata(half) == manifest.essentials()
    weights = {tensor.data_type for tensor in onnx.load_model_from_string(half).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in weights
    assert onnx.TensorProto.FLOAT not in weights


def test_exports_count_up_and_never_overwrite(
    trainer: Trainer, digits: Dataset, exported: ModelDirectory
) -> None:
    before = exported.manifest.read_bytes()
    again = export(trainer, digits, None, ExportRequest("tiny", exported.root, "", "Apache-2.0"))
    assert again.version == exported.version + 1
    assert exported.manifest.read_bytes() == before


def test_averaged_weights_are_exported(trainer: Trainer, exported: ModelDirectory) -> None:
    run = onnx_runner(exported.generator.read_bytes(), trainer.spec)
    latent, weights = np.ones((2, 6), np.float32), np.eye(10, dtype=np.float32)[:2]
    assert np.allclose(run(latent, weights), torch_runner(trainer.state.averaged)(latent, weights), atol=1e-4)


@pytest.mark.parametrize("name", ["Upper", "../escape", "", "a b"])
def test_names_that_are_none_are_refused(
    trainer: Trainer, digits: Dataset, tmp_path: Path, name: str
) -> None:
    with pytest.raises(ExportError, match="--name"):
        export(trainer, digits, None, ExportRequest(name, tmp_path, "", "Apache-2.0"))
    assert list(tmp_path.iterdir()) == []


def test_a_generator_that_ignores_its_classes_is_refused() -> None:
    check_classes_matter(_graph, SPEC, Prior.NORMAL)
    with pytest.raises(ExportError, match="1 different draws for 4 classes"):
        check_classes_matter(lambda g, w: _graph(g, w * 0), SPEC, Prior.NORMAL)


@pytest.mark.parametrize(
    ("data", "recipe", "settings"),
    [
        ("digits", "vanilla", ["networks.generator_hidden=[8]", "networks.discriminator_hidden=[8]"]),
        ("digits", "default", [*TINY, "conditional=false", "latent.prior=sphere"]),
        ("gaussian", "gaussian-1d", []),
    ],
)
def test_every_kind_of_generator_is_exported(
    tmp_path: Path, cache: Path, data: str, recipe: str, settings: list[str]
) -> None:
    dataset = load_dataset(data, cache)
    trainer = _trainer(tmp_path / "run", dataset, recipe, settings)
    directory = export(trainer, dataset, None, ExportRequest("m", tmp_path / "models", "", "CC0-1.0"))
    manifest, _ = read_manifest(directory.manifest.read_bytes())
    assert manifest.classes is None
    assert manifest.output == dataset.output
    assert manifest.latent.prior == trainer.recipe.latent.prior
    assert json.loads(directory.manifest.read_text())["graph"]["class_weights"] is None


SPEC = GeneratorSpec(
    3, 4, Dataset("d", np.zeros((1, 2, 2, 1), np.uint8), None, None, np.zeros(1, bool)).output
)


def _graph(latent: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return (latent.sum(axis=1) + weights @ np.arange(4.0))[:, None, None, None] * np.ones((1, 1, 2, 2))


def _faulty(where: str) -> Runner:
    """Return the same graph with one fault: in one class, one mixture, one batch size, one row."""

    def run(latent: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        output = _graph(latent, weights)
        whole = weights.max(axis=1) == 1
        faults = {
            "class 2": whole & (weights.argmax(axis=1) == 2),
            "a mixture of classes": ~whole,
            "batch of 17": np.full(len(latent), len(latent) == 17),
            "batch of 1,": np.full(len(latent), len(latent) == 1),
            "batch of 3": (np.arange(len(latent)) == 2) & (len(latent) == 3),
        }
        return output + 2e-4 * faults[where][:, None, None, None]

    return run


def test_the_parity_gate_passes_the_same_graph() -> None:
    parity = check_parity(_graph, lambda g, w: _graph(g, w) + 5e-5, SPEC, Prior.NORMAL)
    assert parity.max_abs_difference == pytest.approx(5e-5)
    assert parity.batches == (1, 2, 3, 17)


@pytest.mark.parametrize(
    "where", ["class 2", "a mixture of classes", "batch of 17", "batch of 1,", "batch of 3"]
)
def test_the_parity_gate_finds_a_fault_and_says_where(where: str) -> None:
    with pytest.raises(ExportError, match=where):
        check_parity(_graph, _faulty(where), SPEC, Prior.NORMAL)


def test_the_parity_gate_refuses_what_is_no_number_and_other_shapes() -> None:
    with pytest.raises(ExportError, match="nan"):
        check_parity(_graph, lambda g, w: _graph(g, w) * np.nan, SPEC, Prior.NORMAL)
    with pytest.raises(ExportError, match="put out"):
        check_parity(_graph, lambda g, w: _graph(g, w)[:, :, :1], SPEC, Prior.NORMAL)


def test_a_graph_that_fails_parity_leaves_no_model(
    trainer: Trainer, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tampered(data: bytes, spec: GeneratorSpec) -> Runner:
        run = onnx_runner(data, spec)
        return lambda latent, weights: run(latent, weights) + 3e-4

    monkeypatch.setattr("training.export.publication.onnx_runner", tampered)
    with pytest.raises(ExportError, match="parity"):
        export(trainer, digits, None, ExportRequest("m", tmp_path / "models", "", "Apache-2.0"))
    assert not (tmp_path / "models").exists()


def test_batch_invariance_is_measured_not_assumed() -> None:
    assert measure_batch_invariance(_graph, SPEC, Prior.NORMAL).bit_identical
    spec = dataclasses.replace(SPEC)
    wobbly = measure_batch_invariance(lambda g, w: _graph(g, w) + 1e-9 * (len(g) == 17), spec, Prior.NORMAL)
    assert not wobbly.bit_identical
