"""The report's files: complete, self-contained, the same for a run and for its exported model."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.latents import Prior
from training.cli import main
from training.data import Dataset, load_dataset
from training.evaluation import Subject, evaluate, kept_facts, write_report
from training.evaluation.glossary import MEANINGS
from training.networks import GeneratorSpec
from training.sampling import Sampler

SMALL = [
    "networks.generator_channels=4",
    "networks.discriminator_channels=4",
    "batch_size=32",
    "latent.dim=8",
]
VOID = {"meta", "img", "path", "polyline", "br"}


class _Page(HTMLParser):
    """Reads a page: every element that opens closes, and where addresses point is kept."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.elements: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(path: Path) -> _Page:
    """Return the page, which must need nothing beside itself."""
    text = path.read_text(encoding="utf-8")
    page = _Page(text)
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert not {"script", "link", "iframe", "object"} & set(page.elements)
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert "default-src 'none'" in text
    return page


@pytest.fixture(scope="module")
def digits(cache: Path) -> Dataset:
    return load_dataset("digits", cache)


def _settings(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Train a small generator of digits for a moment."""
    path = tmp_path_factory.mktemp("runs") / "small"
    arguments = ["train", "--data", "digits", "--out", str(path), "--kimg", "0.2", "--cache", str(cache)]
    assert main([*arguments, *_settings(*SMALL)]) == 0
    return path


@pytest.fixture(scope="module")
def model(run: Path, cache: Path) -> Path:
    """Export it without an evaluation."""
    models = run.parent / "models"
    arguments = ["export", str(run), "--name", "small", "--models", str(models), "--no-evaluation"]
    assert main([*arguments, "--cache", str(cache)]) == 0
    return models / "small" / "1"


def _evaluate(subject: Path, cache: Path, out: Path, *options: str) -> int:
    return main(["evaluate", str(subject), "--cache", str(cache), "--out", str(out), "--cas", "no", *options])


def test_a_run_and_its_exported_model_have_the_same_figures(
    run: Path, model: Path, cache: Path, tmp_path: Path
) -> None:
    """A pixel may differ by a level, as torch and ONNX Runtime round otherwise; no figure may move by it."""
    before = sorted((path.name, path.read_bytes()) for path in model.iterdir())
    assert _evaluate(run, cache, tmp_path / "run") == 0
    assert _evaluate(model, cache, tmp_path / "model") == 0
    of_run, of_model = (
        json.loads((tmp_path / name / "report.json").read_text()) for name in ("run", "model")
    )
    assert of_run["rows"].keys() == {"generated", "real", "noise"}
    for row, figures in of_run["rows"].items():
        assert of_model["rows"][row] == pytest.approx(figures, rel=0.01, abs=0.01)
    assert of_model["rows"]["real"] == of_run["rows"]["real"]
    assert of_model["feature_space"] == of_run["feature_space"]
    assert of_model["model"]["name"] == "small"
    assert of_model["images_seen"] == of_run["images_seen"]
    assert sorted((path.name, path.read_bytes()) for path in model.iterdir()) == before


def test_the_same_command_writes_the_same_files(model: Path, cache: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        assert _evaluate(model, cache, tmp_path / name, "--seed", "3", "--images", "60") == 0
    for file in ("report.json", "report.html"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_the_page_of_a_run_is_complete(run: Path, cache: Path, tmp_path: Path) -> None:
    assert _evaluate(run, cache, tmp_path) == 0
    page, report = _read(tmp_path / "report.html"), json.loads((tmp_path / "report.json").read_text())
    space = report["feature_space"]
    for wanted in (
        report["verdict"]["summary"],
        *(finding["sentence"] for finding in report["verdict"]["findings"]),
        *(MEANINGS[metric].label for metric in report["rows"]["generated"]),
        space["classifier_digest"],
        f"{space['classifier_held_out_accuracy']:.1%} right on held-out real images",
        "three",
        "Between draws",
        "Nearest training images",
        "359 draws, seed 0, averaged weights, no truncation",
    ):
        assert wanted in page.text, wanted
    assert len(page.addresses) == 2 * 10 + 2 + 12
    assert page.text.index(report["verdict"]["summary"]) < page.text.index("Class accuracy")


def test_what_is_asked_for_is_stated(run: Path, cache: Path, tmp_path: Path) -> None:
    options = ["--weights", "raw", "--truncation", "scale:0.5", "--seed", "7", "--images", "50"]
    assert _evaluate(run, cache, tmp_path, *options) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    stated = [report[name] for name in ("weights", "truncation", "seed", "images")]
    assert stated == ["raw", "scale:0.5", 7, 50]
    assert "50 draws, seed 7, raw weights, truncation scale:0.5" in _read(tmp_path / "report.html").text


def test_only_a_report_of_what_is_exported_is_kept(run: Path, cache: Path, tmp_path: Path) -> None:
    assert _evaluate(run, cache, tmp_path, "--images", "30") == 0
    path = tmp_path / "report.json"
    document = json.loads(path.read_text())
    seen = document["images_seen"]
    kept = kept_facts(path, seen)
    assert kept is not None
    assert kept.model_dump()["rows"] == document["rows"]
    assert kept_facts(path, seen + 1) is None
    assert kept_facts(tmp_path / "missing.json", seen) is None
    for change in ({"weights": "raw"}, {"truncation": "scale:0.5"}, {"revision": 1}, {"rows": 3}):
        path.write_text(json.dumps(document | change))
        assert kept_facts(path, seen) is None
    for torn in ("[]", "{", '{"revision": 2}'):
        path.write_text(torn)
        assert kept_facts(path, seen) is None


def test_numbers_have_a_page_too(cache: Path, tmp_path: Path) -> None:
    gaussian = load_dataset("gaussian", cache)
    sampler = Sampler(lambda z, _: z + 4, GeneratorSpec(1, None, gaussian.output), Prior.NORMAL)
    metrics = [{"images_seen": n, "d_loss": 1.4, "g_loss": 0.7} for n in range(1, 900)]
    subject = Subject("What it draws", sampler, {"recipe": "by hand"}, {}, metrics)
    write_report(evaluate(sampler, gaussian, cache), subject, gaussian, tmp_path)
    page = _read(tmp_path / "report.html")
    assert page.elements.count("svg") == 2
    assert page.addresses == []
    for wanted in ("Kolmogorov–Smirnov statistic", "Not good: spread and shape", "held-out", gaussian.digest):
        assert wanted in page.text


@pytest.fixture(scope="module")
def pictures() -> Dataset:
    """Return colour images without labels, larger than a page shows them."""
    samples = np.random.default_rng(5).integers(0, 256, (60, 100, 120, 3), dtype=np.uint8)
    return Dataset("pictures <of> nothing & more", samples, None, None, np.arange(60) % 3 == 0)


def test_pictures_without_labels_have_a_page_too(pictures: Dataset, cache: Path, tmp_path: Path) -> None:
    spec = GeneratorSpec(4, None, pictures.output)

    def run(z: np.ndarray, _: np.ndarray | None) -> np.ndarray:
        return np.tanh(z[:, :3, None, None] * np.ones((1, 1, 100, 120), np.float32))

    subject = Subject("<b>", Sampler(run, spec, Prior.SPHERE), {}, {})
    write_report(evaluate(subject.sampler, pictures, cache), subject, pictures, tmp_path)
    page = _read(tmp_path / "report.html")
    assert len(page.addresses) == 1 + 1 + 12
    assert "The data has no classes" in page.text
    assert "principal components of the pixels" in page.text
    assert pictures.name in page.text
    assert "b" not in page.elements[: page.elements.index("h1")]
    assert "Only 20 draws were judged" in page.text


def _model_of_a_folder(model: Path, into: Path, name: str) -> Path:
    """Return the model as if it had been trained on other data."""
    into.mkdir()
    for path in model.iterdir():
        (into / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((into / "manifest.json").read_text())
    manifest["training"]["dataset"] |= {"name": name, "digest": "sha256:" + "0" * 64}
    (into / "manifest.json").write_text(json.dumps(manifest))
    return into


def test_a_models_data_must_be_named_and_be_the_same(
    model: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = _model_of_a_folder(model, tmp_path / "photos", "photos")
    assert _evaluate(photos, cache, tmp_path / "out") == 1
    assert "trained on 'photos': say with --data where that lies" in capsys.readouterr().err
    assert _evaluate(photos, cache, tmp_path / "out", "--data", "digits") == 1
    assert "its digest is sha256:18ed70c309e9…" in capsys.readouterr().err
    embedded = _model_of_a_folder(model, tmp_path / "embedded", "digits")
    assert _evaluate(embedded, cache, tmp_path / "out") == 1
    assert "is not what" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_of_a_folder_is_judged_by_that_folder(digits: Dataset, cache: Path, tmp_path: Path) -> None:
    """The folder is read as the run read it: at the size and in the channels that the model draws."""
    for label in range(2):
        (tmp_path / "data" / str(label)).mkdir(parents=True)
        for number, row in enumerate(np.flatnonzero(digits.labels == label)[:40]):
            picture = Image.fromarray(np.asarray(digits.samples[row, ..., 0])).resize((24, 24))
            picture.save(tmp_path / "data" / str(label) / f"{number}.png")
    data, run, common = str(tmp_path / "data"), str(tmp_path / "run"), ["--cache", str(cache)]
    arguments = ["train", "--data", data, "--size", "16", "--channels", "3", "--out", run, "--kimg", "0.04"]
    assert main([*arguments, *_settings(*SMALL), *common]) == 0
    export = ["export", run, "--name", "f", "--models", str(tmp_path / "models"), "--no-evaluation"]
    assert main([*export, *common]) == 0
    model = tmp_path / "models" / "f" / "1"
    assert _evaluate(model, cache, tmp_path / "out") == 1
    assert _evaluate(model, cache, tmp_path / "out", "--data", data) == 0
    page = _read(tmp_path / "out" / "report.html")
    assert len(page.addresses) == 2 * 2 + 2 + 12


def test_a_model_that_was_changed_is_refused(
    model: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = _model_of_a_folder(model, tmp_path / "copy", "digits")
    graph = copy / "generator.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    assert _evaluate(copy, cache, tmp_path / "out") == 1
    assert "not the file that was exported" in capsys.readouterr().err
    graph.unlink()
    assert _evaluate(copy, cache, tmp_path / "out") == 1
    assert "no exported model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "-1"], "--seed"),
        (["--images", "2"], "--images 2"),
        (["--truncation", "0.7"], "--truncation '0.7' is none"),
        (["--weights", "raw"], "averaged weights only"),
        (["--inception", "nowhere.pt"], "no such file"),
    ],
)
def test_options_that_cannot_be_met_are_one_sentence(
    model: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    assert _evaluate(model, cache, tmp_path / "out", *options) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_run_knows_its_data(
    run: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _evaluate(run, cache, tmp_path / "out", "--data", "digits") == 1
    assert "--data is for exported models" in capsys.readouterr().err
