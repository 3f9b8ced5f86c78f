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


def draw(service: LocalService, route: str = "/generate", **body: object) -> np.ndarray:
    response = service.post(route, body, accept="application/x-npy")
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


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SVC]:
    """For each model, a support vector machine that knows nothing of how it was trained or judged."""
    fitted = {}
    for name, data in (("mnist", "mnist5k"), ("digits", "digits")):
        part = load_dataset(data, tmp_path_factory.mktemp("data")).part(held_out=False)
        fitted[name] = SVC(C=10).fit(part.samples.reshape(len(part), -1) / 255.0, part.labels)
    return fitted


def judged(reader: SVC, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class that each image is read as, and by how much it is ahead of the next one."""
    scores = reader.decision_function(drawn.reshape(len(drawn), -1) / 255.0)
    second, first = np.sort(scores, axis=1)[:, -2:].T
    return scores.argmax(axis=1), first - second


def plain(service: LocalService, name: str) -> np.ndarray:
    """Return 500 samples, one of each class in turn."""
    return np.concatenate(
        [draw(service, model=name, n=50, seed=seed, class_label="balanced") for seed in range(10)]
    )


@pytest.mark.parametrize(("name", "least"), [("mnist", 0.95), ("digits", 0.93)])
def test_another_classifier_reads_the_class_that_was_asked_for(
    service: LocalService, readers: dict[str, SVC], name: str, least: float
) -> None:
    read, _ = judged(readers[name], plain(service, name))
    assert (read == np.arange(500) % 10).mean() >= least


@pytest.mark.parametrize("name", ["mnist", "digits"])
def test_sums_and_paths_of_latents_are_still_digits(
    service: LocalService, readers: dict[str, SVC], name: str
) -> None:
    """Read as the class that was asked for as often as plain samples are, and with as much confidence."""
    read, margins = judged(readers[name], plain(service, name))
    accuracy, confidence = (read == np.arange(500) % 10).mean(), margins.mean()
    summed, walked = [], []
    for number in range(20):
        terms = [{"weight": w, "of": [{"seed": number, "index": i}]} for i, w in enumerate((1, -1, 1))]
        keyframes = [{"latent": {"seed": number, "index": i}, "class_label": number % 10} for i in range(2)]
        body = {"model": name, "terms": terms, "class_label": number % 10, "jitter": {"n": 9, "scale": 0.5}}
        summed.append(draw(service, "/arithmetic", **body))
        walked.append(draw(service, "/interpolate", model=name, keyframes=keyframes, steps=10))
    for drawn in (summed, walked):
        read, margins = judged(readers[name], np.concatenate(drawn))
        assert (read == np.repeat(np.arange(20) % 10, 10)).mean() >= accuracy - 0.04
        assert margins.mean() >= 0.95 * confidence


@pytest.mark.parametrize("name", ["mnist", "digits"])
def test_a_path_from_class_to_class_leaves_one_digit_and_comes_to_the_other(
    service: LocalService, readers: dict[str, SVC], name: str
) -> None:
    """Its first and last quarter are read as the class that is near, its middle mostly as one of the two."""
    near, middle = [], []
    for number in range(40):
        first, second = number % 10, (number + 1 + number // 10) % 10
        keyframes = [
            {"latent": {"seed": number, "index": i}, "class_label": label}
            for i, label in enumerate((first, second))
        ]
        drawn = draw(service, "/interpolate", model=name, keyframes=keyframes, steps=9)
        read, _ = judged(readers[name], drawn)
        near += [*(read[:3] == first), *(read[-3:] == second)]
        middle.append(read[4] in (first, second))
    assert np.mean(near) >= 0.9
    assert np.mean(middle) >= 0.6, "two classes out of ten by chance would be 0.2"


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
