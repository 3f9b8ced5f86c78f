"""The commands, as a user types them: from data to a model directory, and every fault one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.layout import is_model_name
from contract.manifest import read_manifest
from training.cli import main
from training.commands import model_name_of
from training.recipes import RECIPES

SMALL = ["networks.generator_channels=4", "networks.discriminator_channels=4", "batch_size=32"]


def _set(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def test_from_data_to_model_in_three_commands(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, models, common = str(tmp_path / "run"), str(tmp_path / "models"), ["--cache", str(cache)]
    assert main(["train", "--data", "digits", "--out", run, "--kimg", "0.3", *_set(*SMALL), *common]) == 0
    assert f"training export {run}" in capsys.readouterr().out
    assert main(["evaluate", run, *common]) == 0
    report = capsys.readouterr().out
    assert "classifier_held_out_accuracy" in report
    assert "coverage" in report
    assert main(["export", run, "--name", "d", "--models", models, "--licence", "CC0-1.0", *common]) == 0
    manifest, _ = read_manifest((tmp_path / "models" / "d" / "1" / "manifest.json").read_bytes())
    assert manifest.evaluation is not None
    assert set(manifest.evaluation.rows) == {"generated", "real", "noise"}
    kept = json.loads((tmp_path / "run" / "report.json").read_text())
    assert kept["rows"] == manifest.evaluation.model_dump()["rows"]
    assert manifest.licence == "CC0-1.0"
    assert manifest.training.images_seen == 320


def test_one_command_from_a_folder_to_a_model(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trained, exported under the folder's name, and told how it is served; few images go unjudged."""
    photos = tmp_path / "My Photos"
    rng = np.random.default_rng(0)
    for name in ("one", "other"):
        (photos / name).mkdir(parents=True)
        for number in range(8):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(photos / name / f"{number}.png")
    run, models = str(tmp_path / "run"), str(tmp_path / "models")
    common = ["--out", run, "--models", models, "--cache", str(cache), "--kimg", "0.1", *_set(*SMALL)]
    assert main(["train", "--data", str(photos), "--export", *common]) == 0
    said = capsys.readouterr().out
    assert "exported without a judgement: My Photos: more than 5 held-out samples" in said
    assert '"model": "my-photos"' in said
    manifest, _ = read_manifest((tmp_path / "models" / "my-photos" / "1" / "manifest.json").read_bytes())
    assert manifest.classes == ("one", "other")
    assert manifest.evaluation is None


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("mnist5k", "mnist5k"),
        ("./My Photos/", "my-photos"),
        ("archive/faces.64.npz", "faces-64"),
        ("hub:someone/Flowers_102:train", "flowers-102"),
        ("Vögel", "v-gel"),
        ("写真", "model"),
        ("x" * 90, "x" * 64),
    ],
)
def test_a_model_is_named_after_its_data(data: str, name: str) -> None:
    assert model_name_of(data) == name
    assert is_model_name(name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "--data is needed"),
        (["train", "--data", "digits", "--export", "Not A Name"], "--export"),
        (["train", "--data", "mnist6k"], "neither an embedded set"),
        (["train", "--data", "digits", "--recipe", "x"], "We recommend default"),
        (["train", "--data", "digits", "--set", "batch_size=0"], "batch_size"),
        (["train", "--data", "digits", "--seed", "-1"], "seed"),
        (["train", "--data", "gaussian", "--recipe", "default"], "means nothing for data of vectors"),
        (["train", "--data", "gaussian", "--set", "augmentation.translation=0"], "draws images"),
        (["train", "--data", "digits", "--kimg", "inf"], "finite"),
        (["train", "--data", "digits", "--kimg", "0.001"], "at least one batch"),
        (["train", "--data", "digits", "--checkpoint-every", "inf"], "finite"),
        (
            ["train", "--data", "digits", "--recipe", "vanilla", "--set", "conditional=true"],
            "use of labels",
        ),
        (["train", "--data", "digits", "--threads", "0"], "--threads"),
        (["train", "--resume", "nowhere"], "no run directory"),
        (["train", "--resume", "nowhere", "--kimg", "9"], "--kimg cannot be given with --resume"),
        (["evaluate", "nowhere"], "no run directory"),
        (["export", "nowhere", "--name", "x"], "no run directory"),
        (["export", "nowhere", "--name", "Not A Name"], "--name"),
    ],
)
def test_faults_are_one_sentence_and_leave_nothing(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--cache", str(cache)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_files_in_the_way_are_faults_of_one_sentence(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    in_the_way = str(tmp_path / "file" / "run")
    assert main(["train", "--data", "digits", "--out", in_the_way, "--cache", str(cache)]) == 1
    assert main(["train", "--data", "digits", "--out", str(tmp_path / "r"), "--cache", in_the_way]) == 1
    assert capsys.readouterr().err.count("error: ") == 2


def test_a_torn_report_is_made_anew(tmp_path: Path, cache: Path) -> None:
    run, common = str(tmp_path / "run"), ["--cache", str(cache)]
    assert main(["train", "--data", "digits", "--out", run, "--kimg", "0.04", *_set(*SMALL), *common]) == 0
    (tmp_path / "run" / "report.json").write_text('{"images_seen": 6')
    assert main(["export", run, "--name", "d", "--models", str(tmp_path / "models"), *common]) == 0
    assert json.loads((tmp_path / "run" / "report.json").read_text())["images_seen"] == 64


def test_the_manifest_states_what_the_run_was_begun_with(tmp_path: Path, cache: Path) -> None:
    run, common = tmp_path / "run", ["--cache", str(cache)]
    assert (
        main(["train", "--data", "digits", "--out", str(run), "--kimg", "0.04", *_set(*SMALL), *common]) == 0
    )
    config = json.loads((run / "config.json").read_text())
    config["provenance"]["source_commit"] = "an earlier one"
    (run / "config.json").write_text(json.dumps(config))
    models = tmp_path / "models"
    assert main(["export", str(run), "--name", "d", "--models", str(models), "--no-evaluation", *common]) == 0
    manifest, _ = read_manifest((models / "d" / "1" / "manifest.json").read_bytes())
    assert manifest.training.source_commit == "an earlier one"


def test_recipes_are_listed_a_line_each_with_a_recommendation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    shown = capsys.readouterr().out
    for name, build in RECIPES.items():
        assert f"  {name} " in shown
        assert build().summary in shown
    assert "We recommend default" in shown


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["train", "--recpe", "dcgan"], "did you mean --recipe?"),
        (["train", "--data", "digits", "--chekpoint-every", "3"], "did you mean --checkpoint-every?"),
        (["trian", "--data", "digits"], "did you mean train?"),
        (["train", "--data", "digits", "--device", "cdua"], "did you mean cuda?"),
    ],
)
def test_a_wrong_word_is_answered_with_the_nearest_right_one(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert meant in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["--recipe", "dcgna"], "did you mean dcgan?"),
        (["--set", "batch_sise=3"], "did you mean batch_size?"),
        (["--set", "networks.generator_chanels=3"], "did you mean networks.generator_channels?"),
    ],
)
def test_a_wrong_recipe_or_setting_too(
    arguments: list[str], meant: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--data", "digits", "--cache", str(cache), *arguments]) == 1
    assert meant in capsys.readouterr().err
