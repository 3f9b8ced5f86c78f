"""A report sets the draws beside real images and noise, and the same request gives the same report."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.digests import sha256_digest
from contract.latents import Prior, Truncation, TruncationMode
from training.data import Dataset, load_dataset
from training.errors import ConfigError, DataError
from training.evaluation import Request, evaluate, parse_truncation
from training.evaluation.classifier import accuracy_from_noise, judge_for
from training.evaluation.inception import load_inception
from training.networks import GeneratorSpec
from training.sampling import Sampler

QUICK = Request(cas="no")


@pytest.fixture(scope="module")
def digits(cache: Path) -> Dataset:
    """Return half of the digits: a classifier of them is trained in a second or two."""
    whole = load_dataset("digits", cache)
    half = slice(None, None, 2)
    return Dataset("digits", whole.samples[half], whole.labels[half], whole.class_names, whole.held_out[half])


@pytest.fixture(scope="module")
def unlabelled(digits: Dataset) -> Dataset:
    return Dataset("pictures", np.asarray(digits.samples), None, None, digits.held_out)


def _replay(dataset: Dataset, *, shift: int = 0, noise: float = 0.0) -> Sampler:
    """Return a sampler that draws training images: of the class asked for, or of one ``shift`` further."""
    part = dataset.part(held_out=False)
    spec = GeneratorSpec(4, dataset.classes, dataset.output)

    def run(latent: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        rank = (np.abs(latent[:, 0]) * 1e5).astype(int)
        chosen = rank % len(part)
        if weights is not None:
            labels = (weights.argmax(axis=1) + shift) % 10
            rows = [np.flatnonzero(part.labels == label) for label in labels]
            chosen = [members[r % len(members)] for members, r in zip(rows, rank, strict=True)]
        images = part.samples[chosen].transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        ripple = noise * np.sin(1e3 * latent[:, 1])[:, None, None, None]
        return np.asarray(images + ripple, np.float32)

    return Sampler(run, spec, Prior.NORMAL)


def test_real_images_replayed_are_as_good_as_real(digits: Dataset, cache: Path) -> None:
    report = evaluate(_replay(digits), digits, cache)
    generated, real, noise = (report.facts.rows[name] for name in ("generated", "real", "noise"))
    assert real["class_accuracy"] > 0.95
    assert generated["class_accuracy"] > 0.97
    assert generated["coverage"] > 0.85 * real["coverage"]
    assert generated["cas"] > real["cas"] - 0.05
    assert report.facts.feature_space["classifier_held_out_accuracy"] == real["class_accuracy"]
    assert noise["class_accuracy"] < 0.3
    assert noise["cas"] < 0.3
    assert noise["coverage"] < 0.2
    assert noise["kernel_distance"] > 10 * abs(generated["kernel_distance"])
    assert set(generated) == set(real) == set(noise)


def test_copied_training_images_are_seen(digits: Dataset, cache: Path) -> None:
    """A generator that replays its training images is good in all else, and not good in this."""
    report = evaluate(_replay(digits), digits, cache, QUICK)
    generated, real = report.facts.rows["generated"], report.facts.rows["real"]
    assert generated["near_copies_pixels"] == 1
    assert generated["nearest_training_pixels"] == 0
    assert real["near_copies_pixels"] < 0.1
    assert real["nearest_training_pixels"] > 0.8
    assert [finding.topic for finding in report.verdict.findings if not finding.good] == [
        "no copies of training images"
    ]
    assert "Not good: no copies of training images" in report.verdict.summary


def test_ignored_labels_are_seen(digits: Dataset, cache: Path) -> None:
    """The same images under the wrong class: the distances stay, accuracy and CAS fall."""
    report = evaluate(_replay(digits, shift=1), digits, cache)
    generated = report.facts.rows["generated"]
    assert generated["class_accuracy"] < 0.05
    assert generated["cas"] < 0.05
    assert generated["coverage"] > 0.8
    assert all(figures.read_as_asked < 0.3 for figures in report.classes)
    bad = {finding.topic for finding in report.verdict.findings if not finding.good}
    assert {"labels", "use as training data"} <= bad


def test_a_collapsed_generator_is_seen(digits: Dataset, cache: Path) -> None:
    whole = _replay(digits)
    collapsed = Sampler(lambda z, w: whole.run(z * 0, w), whole.spec, whole.prior)
    report = evaluate(collapsed, digits, cache, QUICK)
    assert report.facts.rows["generated"]["classes_covered"] == 1
    assert report.facts.rows["generated"]["clusters_covered"] < 0.6
    bad = {finding.topic for finding in report.verdict.findings if not finding.good}
    assert {"variety", "modes"} <= bad


def test_the_same_request_gives_the_same_report(digits: Dataset, cache: Path) -> None:
    sampler = _replay(digits, noise=0.2)
    first, second = (evaluate(sampler, digits, cache, QUICK).document() for _ in range(2))
    other = evaluate(sampler, digits, cache, Request(seed=1, cas="no")).document()
    assert first == second
    assert other["rows"]["real"] == first["rows"]["real"]
    assert other["rows"]["noise"] == first["rows"]["noise"]
    assert other["rows"]["generated"] != first["rows"]["generated"]


def test_the_classifier_does_not_depend_on_the_number_of_threads(digits: Dataset, tmp_path: Path) -> None:
    few = Dataset("few", digits.samples[:200], digits.labels[:200], digits.class_names, digits.held_out[:200])
    threads = torch.get_num_threads()
    try:
        digests = set()
        for count in (1, 2):
            torch.set_num_threads(count)
            digests.add(judge_for(few, tmp_path / str(count)).digest)
            assert torch.get_num_threads() == count
        assert len(digests) == 1
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("count", [40, 400])
def test_as_many_are_judged_as_are_asked_for_in_the_same_shares(
    digits: Dataset, cache: Path, count: int
) -> None:
    report = evaluate(_replay(digits), digits, cache, Request(images=count, cas="no"))
    assert report.facts.images == len(report.pixels) == count
    draws = np.array([figures.draws for figures in report.classes])
    held_out = np.bincount(digits.part(held_out=True).labels)
    assert draws.sum() == count
    assert np.abs(draws - held_out * count / held_out.sum()).max() < 1


@pytest.mark.parametrize("count", [5, 800])
def test_more_than_can_be_set_beside_real_images_are_refused(
    digits: Dataset, cache: Path, count: int
) -> None:
    with pytest.raises(ConfigError, match="--images"):
        evaluate(_replay(digits), digits, cache, Request(images=count))


def test_truncation_reaches_the_draws_and_is_stated(digits: Dataset, cache: Path) -> None:
    seen = []
    whole = _replay(digits)

    def run(latent: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        seen.append(np.abs(latent).max())
        return whole.run(latent, weights)

    truncation = Truncation(mode=TruncationMode.THRESHOLD, value=0.5)
    sampler = Sampler(run, whole.spec, whole.prior)
    report = evaluate(sampler, digits, cache, Request(truncation=truncation, images=50, cas="no"))
    assert max(seen) < 0.5
    assert report.facts.truncation == "threshold:0.5"
    assert any("truncated" in caution for caution in report.verdict.cautions)


@pytest.mark.parametrize("text", ["threshold:1.5", "scale:0.7", "scale:0.123456789"])
def test_truncations_are_spelled_as_they_are_read(text: str) -> None:
    assert Request(truncation=parse_truncation(text)).truncation_text == text


@pytest.mark.parametrize("text", ["", "1.5", "threshold", "threshold:x", "cut:1", "threshold:9", "scale:nan"])
def test_truncations_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--truncation"):
        parse_truncation(text)


def test_without_labels_pixels_are_compared_and_said_to_be(unlabelled: Dataset, cache: Path) -> None:
    """No classifier can be trained: neither its figures nor its name appear."""
    report = evaluate(_replay(unlabelled), unlabelled, cache)
    rows, space = report.facts.rows, report.facts.feature_space
    assert "principal components of the pixels" in space["kind"]
    assert not any("classifier_" in name for name in space)
    assert not {"class_accuracy", "cas", "classes_covered"} & set(rows["generated"])
    assert rows["generated"]["coverage"] > 0.85 * rows["real"]["coverage"] > rows["noise"]["coverage"]
    assert report.classes == ()


def test_a_generator_without_classes_is_judged_by_the_classes_it_is_read_as(
    digits: Dataset, cache: Path
) -> None:
    blind = Sampler(_replay(digits).run, GeneratorSpec(4, None, digits.output), Prior.NORMAL)
    report = evaluate(blind, digits, cache)
    assert report.facts.rows["generated"]["classes_covered"] == 1
    assert "class_accuracy" not in report.facts.rows["generated"]
    assert sum(figures.draws for figures in report.classes) == report.facts.images
    assert all(figures.read_as_asked is None for figures in report.classes)


def test_numbers_are_judged_by_their_law(cache: Path) -> None:
    gaussian = load_dataset("gaussian", cache)
    spec = GeneratorSpec(1, None, gaussian.output)
    same = evaluate(Sampler(lambda z, _: z * 1.25 + 4, spec, Prior.NORMAL), gaussian, cache)
    assert all(finding.good for finding in same.verdict.findings)
    assert same.facts.rows["noise"]["kolmogorov_smirnov"] > 0.2
    wide = evaluate(Sampler(lambda z, _: z * 1.5 + 4, spec, Prior.NORMAL), gaussian, cache)
    assert [finding.topic for finding in wide.verdict.findings if not finding.good] == ["spread", "shape"]
    assert wide.facts.rows["generated"]["wasserstein"] > 5 * same.facts.rows["generated"]["wasserstein"]


def test_vectors_of_more_than_one_number_are_refused(cache: Path) -> None:
    samples = np.zeros((40, 2), np.float32)
    pairs = Dataset("pairs", samples, None, None, np.arange(40) < 10)
    sampler = Sampler(lambda z, _: z, GeneratorSpec(2, None, pairs.output), Prior.NORMAL)
    with pytest.raises(DataError, match="more than one number"):
        evaluate(sampler, pairs, cache)


def test_cas_that_is_left_out_is_said_to_be(digits: Dataset, cache: Path) -> None:
    report = evaluate(_replay(digits), digits, cache, QUICK)
    assert "cas" not in report.facts.rows["generated"]
    assert report.facts.feature_space["cas"] == "left out: not asked for"


def test_the_judge_is_trained_once_and_kept(digits: Dataset, cache: Path) -> None:
    first, second = judge_for(digits, cache), judge_for(digits, cache)
    assert first.digest == second.digest
    assert first.held_out_accuracy == second.held_out_accuracy
    assert accuracy_from_noise(digits, cache) == accuracy_from_noise(digits, cache) < 0.3


def test_too_few_held_out_samples_are_refused(digits: Dataset, cache: Path) -> None:
    few = Dataset("few", digits.samples[:10], None, None, np.arange(10) < 2)
    spec = GeneratorSpec(4, None, few.output)
    with pytest.raises(DataError, match="held-out"):
        evaluate(Sampler(lambda latent, _: latent, spec, Prior.NORMAL), few, cache)


class _Means(torch.nn.Module):
    """Stands for Inception: the mean of each colour, as the files in use are called."""

    def forward(self, images: torch.Tensor, return_features: bool = False) -> torch.Tensor:  # noqa: FBT001, FBT002 - as in the files in use
        assert images.dtype == torch.uint8
        colours = images.float().mean(dim=[2, 3])
        return colours if return_features else colours[:, :1]


class _Grid(torch.nn.Module):
    """Puts out no features but a map of them."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float()


def _scripted(module: torch.nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(str(path))
    return path


def test_the_fid_is_computed_where_its_network_is_given(digits: Dataset, cache: Path, tmp_path: Path) -> None:
    path = _scripted(_Means(), tmp_path / "stand-in.pt")
    report = evaluate(_replay(digits), digits, cache, Request(cas="no", inception=path))
    means = digits.part(held_out=True).samples.reshape(-1, 64).mean(axis=1)
    drawn = report.pixels.reshape(-1, 64).mean(axis=1)
    expected = 3 * ((means.mean() - drawn.mean()) ** 2 + (means.std(ddof=1) - drawn.std(ddof=1)) ** 2)
    assert report.facts.rows["generated"]["fid"] == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert report.facts.rows["noise"]["fid"] > report.facts.rows["real"]["fid"]
    assert report.facts.feature_space["inception_digest"] == sha256_digest(path.read_bytes())


def test_colours_and_transparency_reach_inception_as_rgb(tmp_path: Path) -> None:
    space = load_inception(_scripted(_Means(), tmp_path / "stand-in.pt"))
    colour = np.array([[[[10, 20, 30]]]], np.uint8)
    assert space.features(colour).tolist() == [[10, 20, 30]]
    clear = np.array([[[[10, 20, 30, 0]]]], np.uint8)
    assert space.features(clear).tolist() == [[255, 255, 255]]
    assert space.features(colour[..., :1]).tolist() == [[10, 10, 10]]


def test_files_that_are_no_inception_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_inception(tmp_path / "missing.pt")
    (tmp_path / "text.pt").write_text("weights")
    with pytest.raises(ConfigError, match="no TorchScript"):
        load_inception(tmp_path / "text.pt")
    space = load_inception(_scripted(_Grid(), tmp_path / "grid.pt"))
    with pytest.raises(ConfigError, match="no features"):
        space.features(np.zeros((2, 4, 4, 3), np.uint8))
