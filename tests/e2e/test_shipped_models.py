"""The shipped models draw what they claim, as their users see it over HTTP."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.svm import SVC

from contract.layout import ModelDirectory, model_directories
from contract.manifest import EvaluationFacts, read_manifest
from tests.fakes.site import LocalService, local_service
from training.data import load_dataset

MODELS = Path(__file__).resolve().parents[2] / "models"
SHIPPED = ("digits", "gaussian", "mnist")


@pytest.fixture(scope="module")
def service() -> Iterator[LocalService]:
    with local_service(MODELS) as running:
        yield running


def draw(service: LocalService, **body: object) -> np.ndarray:
    response = service.generate(body, accept="application/x-npy")
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content))


def evaluation(name: str) -> EvaluationFacts:
    newest = max(entry for entry in model_directories(MODELS) if entry.name == name)
    facts = read_manifest(newest.manifest.read_bytes())[0].evaluation
    assert facts is not None
    return facts


def test_all_three_are_shipped_and_served(service: LocalService) -> None:
    served = service.get("/models").json()["data"]
    assert [model["name"] for model in served] == list(SHIPPED)
    assert [model["name"] for model in served if model["default"]] == ["mnist"]
    assert all(model["reproducible"]["bit_identical"] for model in served)


@pytest.mark.parametrize("name", SHIPPED)
def test_they_are_small_and_say_where_they_come_from(name: str) -> None:
    directory = ModelDirectory(MODELS, name, 1)
    manifest, _ = read_manifest(directory.manifest.read_bytes())
    assert directory.generator.stat().st_size < 4_000_000
    assert manifest.training.source_commit is not None
    assert manifest.licence == "Apache-2.0"
    assert manifest.training.dataset.licence


def test_the_manifest_of_mnist_states_figures_worth_shipping() -> None:
    generated, real = evaluation("mnist").rows["generated"], evaluation("mnist").rows["real"]
    assert generated["class_accuracy"] >= 0.98
    assert generated["coverage"] >= 0.93 * real["coverage"]
    assert generated["cas"] >= real["cas"] - 0.02


@pytest.mark.parametrize(("name", "data", "least"), [("mnist", "mnist5k", 0.95), ("digits", "digits", 0.93)])
def test_another_classifier_reads_the_class_that_was_asked_for(
    service: LocalService, tmp_path: Path, name: str, data: str, least: float
) -> None:
    """A support vector machine that knows nothing of how the generator was trained or judged."""
    part = load_dataset(data, tmp_path).part(held_out=False)
    reader = SVC(C=10).fit(part.samples.reshape(len(part), -1) / 255.0, part.labels)
    drawn = np.concatenate(
        [draw(service, model=name, n=50, seed=seed, class_label="balanced") for seed in range(10)]
    )
    read = reader.predict(drawn.reshape(len(drawn), -1) / 255.0)
    asked = np.tile(np.arange(50) % 10, 10)
    assert (read == asked).mean() >= least


@pytest.mark.parametrize("name", ["mnist", "digits"])
def test_no_class_is_one_picture_over_and_over(service: LocalService, tmp_path: Path, name: str) -> None:
    """The spread of the draws of each class is near that of real images."""
    part = load_dataset({"mnist": "mnist5k"}.get(name, name), tmp_path).part(held_out=True)
    for label in range(10):
        drawn = draw(service, model=name, n=64, seed=5, class_label=label).astype(float)
        real = part.samples[part.labels == label].astype(float)
        assert drawn.std(axis=0).mean() > 0.7 * real.std(axis=0).mean()


def test_the_gaussian_is_a_bell_curve(service: LocalService) -> None:
    values = draw(service, model="gaussian", n=10_000, seed=0)
    assert values.shape == (10_000, 1)
    assert values.mean() == pytest.approx(4.0, abs=0.1)
    assert values.std() == pytest.approx(1.25, abs=0.15)
    assert draw(service, model="gaussian", n=65_536, seed=1).shape == (65_536, 1)
