"""The repository: nothing is served that is not, to the byte and the pixel, what its manifest says."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

from contract.digests import sha256_digest
from contract.layout import ModelDirectory
from contract.manifest import METADATA_KEY
from service.engine import Engine
from service.engine import engine as engine_module
from service.errors import InvalidSettings, UnknownModel, UnusableModel
from service.models import loading
from service.models.decisions import DecisionStore
from service.models.keeper import Keeper
from service.models.loading import load_model
from service.models.prover import Prover
from service.models.repository import Repository
from service.models.served import ServedModel
from service.models.variant import FLOAT16, chosen_variant
from service.models.verification import verified
from service.settings import Settings, load_settings
from tests.fakes.models import COLOUR, CONDITIONAL, VECTOR, FakeModel, write_model, write_models


def settings_for(root: Path, **extra: str) -> Settings:
    return load_settings({"FORGER_MODELS_DIR": str(root), **extra})


class Nobody:
    """Who wants to be told of nothing."""

    def model_served(self, model: ServedModel) -> None:
        pass

    def model_retired(self, model: ServedModel) -> None:
        pass


def load(root: Path, engine: Engine, **extra: str) -> Repository:
    settings = settings_for(root, **extra)
    return Keeper(
        settings,
        lambda directory: load_model(directory, settings, engine, lambda *_: None),
        DecisionStore(None),
        Nobody(),
    ).repository


def refusal(directory: ModelDirectory, engine: Engine) -> str:
    with pytest.raises(UnusableModel) as caught:
        load_model(directory, settings_for(directory.root), engine, lambda *_: None)
    return str(caught.value)


def rewrite_manifest(directory: ModelDirectory, change: Callable[[dict], None]) -> None:
    document = json.loads(directory.manifest.read_text())
    change(document)
    directory.manifest.write_text(json.dumps(document))


def rewrite_graph(directory: ModelDirectory, change: Callable[[onnx.ModelProto], None]) -> None:
    """Change the ONNX file and make its digest right again: what a digest cannot catch."""
    model = onnx.load_model_from_string(directory.generator.read_bytes())
    change(model)
    data = model.SerializeToString()
    directory.generator.write_bytes(data)

    def restate(document: dict) -> None:
        document["files"]["generator.onnx"] = {"sha256": sha256_digest(data), "bytes": len(data)}

    rewrite_manifest(directory, restate)


def test_versions_are_served_side_by_side_and_the_highest_is_current(tmp_path: Path, engine: Engine) -> None:
    for version in (1, 2, 10):
        write_model(tmp_path, FakeModel("grey", version=version))
    repository = load(tmp_path, engine)
    assert repository.versions("grey") == [1, 2, 10]
    assert repository.resolve(None).version == 10
    assert repository.resolve("grey").version == 10
    assert repository.resolve("grey:2").version == 2
    assert len({model.digest for model in repository.all()}) == 3
    with pytest.raises(UnknownModel, match="available: grey:1, grey:10, grey:2"):
        repository.resolve("grey:3")


def test_a_bad_model_is_left_out_and_logged_and_the_others_are_served(
    tmp_path: Path, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    write_models(tmp_path, [CONDITIONAL, COLOUR, VECTOR])
    ModelDirectory(tmp_path, "colour", 1).manifest.write_text("{")
    (tmp_path / "empty" / "1").mkdir(parents=True)
    with caplog.at_level(logging.ERROR):
        repository = load(tmp_path, engine)
    assert repository.names == ["grey", "vector"]
    assert "colour:1 is left out" in caplog.text
    assert "empty:1 is left out: manifest.json is missing" in caplog.text


def test_a_default_that_cannot_be_served_is_an_error(tmp_path: Path, engine: Engine) -> None:
    write_models(tmp_path, [CONDITIONAL, COLOUR])
    rewrite_graph(ModelDirectory(tmp_path, "colour", 1), lambda model: model.graph.node.pop())
    with pytest.raises(InvalidSettings, match="FORGER_DEFAULT_MODEL='colour'"):
        load(tmp_path, engine, FORGER_DEFAULT_MODEL="colour")


def test_a_flipped_bit_of_the_generator_is_caught(tmp_path: Path, engine: Engine) -> None:
    directory = write_model(tmp_path, CONDITIONAL)
    data = bytearray(directory.generator.read_bytes())
    data[len(data) // 2] ^= 1
    directory.generator.write_bytes(data)
    assert "not the digest" in refusal(directory, engine)


def test_a_file_that_is_missing_or_cut_is_caught(tmp_path: Path, engine: Engine) -> None:
    directory = write_model(tmp_path, CONDITIONAL)
    directory.generator.write_bytes(directory.generator.read_bytes()[:-1])
    assert refusal(directory, engine).startswith("generator.onnx is ")
    directory.generator.unlink()
    assert refusal(directory, engine) == "generator.onnx is missing"


def test_a_manifest_of_another_model_or_version_is_caught(tmp_path: Path, engine: Engine) -> None:
    directory = write_model(tmp_path, CONDITIONAL)
    rewrite_manifest(directory, lambda document: document.update(version=7))
    assert refusal(directory, engine) == "the manifest is of grey:7"


def test_a_manifest_that_the_graph_does_not_repeat_is_caught(tmp_path: Path, engine: Engine) -> None:
    """Exchanged class names would label every image wrongly, and no digest would tell."""
    directory = write_model(tmp_path, CONDITIONAL)
    rewrite_manifest(directory, lambda document: document["classes"].reverse())
    assert "metadata differ" in refusal(directory, engine)


def test_changed_weights_are_caught_by_the_canaries(tmp_path: Path, engine: Engine) -> None:
    for fake in (CONDITIONAL, VECTOR):
        directory = write_model(tmp_path, fake)

        def damage(model: onnx.ModelProto) -> None:
            weights = numpy_helper.to_array(model.graph.initializer[0])
            model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights * 1.2, "W"))

        rewrite_graph(directory, damage)
        assert "the canary image of seed 11, index 0 comes out different" in refusal(directory, engine)


def test_a_difference_of_two_levels_is_another_processor_and_three_are_damage(
    tmp_path: Path, engine: Engine
) -> None:
    for fault, sound in ((2, True), (3, False)):
        directory = write_model(tmp_path / str(fault), CONDITIONAL)

        def shift(model: onnx.ModelProto, levels: int = fault) -> None:
            shape = model.graph.node.pop()
            offset = numpy_helper.from_array(np.array([levels / 127.5], np.float32), "offset")
            model.graph.initializer.append(offset)
            model.graph.node.append(helper.make_node("Add", [shape.input[0], "offset"], ["moved"]))
            shape.input[0] = "moved"
            model.graph.node.append(shape)

        rewrite_graph(directory, shift)
        if sound:
            load(directory.root, engine)
        else:
            assert "comes out different" in refusal(directory, engine)


def outside(tensor: onnx.TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")


def external_initializer(model: onnx.ModelProto) -> None:
    outside(model.graph.initializer[0])


def constant_with(attribute: str, value: object) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["stray"], **{attribute: value})


def external_attribute(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "stray_tensor")
    outside(tensor)
    model.graph.node.append(constant_with("value", tensor))


def external_sparse(model: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "sparse_values")
    outside(values)
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "sparse_indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3]))


def external_in_subgraph(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "inner_tensor")
    outside(tensor)
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["inner"], value=tensor)],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, [3])],
    )
    model.graph.node.append(
        helper.make_node("If", ["condition"], ["stray"], then_branch=inner, else_branch=inner)
    )


def external_in_function(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "function_tensor")
    outside(tensor)
    model.functions.append(
        helper.make_function(
            "", "Mine", [], ["out"], [helper.make_node("Constant", [], ["out"], value=tensor)], []
        )
    )


def external_in_a_functions_subgraph(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "deep_tensor")
    outside(tensor)
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["inner"], value=tensor)],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, [3])],
    )
    choice = helper.make_node("If", ["condition"], ["out"], then_branch=inner, else_branch=inner)
    model.functions.append(helper.make_function("", "Mine", ["condition"], ["out"], [choice], []))


def foreign_operator(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Gelu", ["flat"], ["stray"], domain="com.microsoft"))


def foreign_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def random_operator(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("RandomNormal", [], ["stray"], shape=[1]))


def random_in_subgraph(model: onnx.ModelProto) -> None:
    inner = helper.make_graph(
        [helper.make_node("RandomUniform", [], ["inner"], shape=[1])],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, [1])],
    )
    model.graph.node.append(
        helper.make_node("If", ["condition"], ["stray"], then_branch=inner, else_branch=inner)
    )


def another_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["N", 1]))


def another_latent_length(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5


def a_fixed_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def another_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "flat"


def another_output_type(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def no_metadata(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def broken_metadata(model: onnx.ModelProto) -> None:
    helper.set_model_props(model, {METADATA_KEY: "{"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (external_initializer, "external data"),
        (external_attribute, "external data"),
        (external_sparse, "external data"),
        (external_in_subgraph, "external data"),
        (external_in_function, "external data"),
        (external_in_a_functions_subgraph, "external data"),
        (foreign_operator, "com.microsoft::Gelu"),
        (foreign_domain, "com.microsoft"),
        (random_operator, "random operator RandomNormal"),
        (random_in_subgraph, "random operator RandomUniform"),
        (another_input, "the graph's inputs are"),
        (another_latent_length, "has not the shape [N, 4]"),
        (a_fixed_batch, "has not the shape [N, 4]"),
        (another_output, "no output 'image'"),
        (another_output_type, "is not float32"),
        (no_metadata, "metadata differ"),
        (broken_metadata, "metadata differ"),
    ],
)
def test_a_graph_that_could_do_harm_or_is_another_is_refused(
    tmp_path: Path, engine: Engine, change: Callable[[onnx.ModelProto], None], sentence: str
) -> None:
    directory = write_model(tmp_path, CONDITIONAL)
    rewrite_graph(directory, change)
    assert sentence in refusal(directory, engine)


@pytest.mark.parametrize(
    ("wanted", "device", "has_one", "precision"),
    [
        ("float32", "cuda", True, "float32"),
        ("float16", "cuda", True, "float16"),
        ("float16", "cuda", False, "float32"),
        ("float16", "cpu", True, "float32"),
    ],
)
def test_float16_is_run_where_it_is_asked_for_on_a_gpu_and_there(
    tmp_path: Path,
    wanted: str,
    device: str,
    has_one: bool,  # noqa: FBT001 - a column of the table above
    precision: str,
) -> None:
    directory = write_model(tmp_path, CONDITIONAL)
    manifest = verified(directory, 2**20).manifest
    if has_one:
        manifest = manifest.model_copy(update={"float16_parity": manifest.parity})
    variant = chosen_variant(manifest, wanted, device)
    assert variant.precision == precision
    assert variant.file == {"float32": "generator.onnx", "float16": "generator.fp16.onnx"}[precision]


def test_what_another_process_measured_is_not_measured_again(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, settings = write_model(tmp_path, CONDITIONAL), settings_for(tmp_path)
    prover = Prover(settings, engine.device, None)
    measured: list[object] = []
    monkeypatch.setattr(engine_module, "measured", lambda *_, **__: measured.append(1))
    loaded = load_model(directory, settings, engine, lambda *_: None, prover.prove)
    prover.rest()
    assert (loaded.bit_identical, measured) == (True, [])
    assert refusal(directory, engine) != ""
    assert measured == [1]


def test_a_float16_variant_is_audited_and_proved_as_the_model_is(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: the variant's bytes are what is loaded, and its canaries are looked at."""
    directory = write_model(tmp_path, CONDITIONAL)
    half = convert_float_to_float16(
        onnx.load_model_from_string(directory.generator.read_bytes()), keep_io_types=True
    )
    data = half.SerializeToString()
    (directory.path / "generator.fp16.onnx").write_bytes(data)

    def state(document: dict) -> None:
        document["files"]["generator.fp16.onnx"] = {"sha256": sha256_digest(data), "bytes": len(data)}
        document["float16_parity"] = document["parity"]

    rewrite_manifest(directory, state)
    monkeypatch.setattr(loading, "chosen_variant", lambda *_: FLOAT16)
    loaded = load_model(directory, settings_for(tmp_path), engine, lambda *_: None)
    assert loaded.precision == "float16"
    monkeypatch.undo()
    monkeypatch.setattr(loading, "chosen_variant", lambda *_: replace(FLOAT16, levels=-1))
    assert "canary" in refusal(directory, engine)


def test_a_manifest_that_knows_of_half_a_variant_is_unsound(tmp_path: Path, engine: Engine) -> None:
    directory = write_model(tmp_path, CONDITIONAL)
    rewrite_manifest(directory, lambda document: document.update(float16_parity=document["parity"]))
    assert "float16_parity" in refusal(directory, engine)
