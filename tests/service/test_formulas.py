"""The formulas of the API, computed anew from scipy and plain integers, against what the service answers.

Nothing here comes from the contract or the service: answers are fetched as a client does, and pixels are
those of the model's own file, fed with what the formulas say.

Shapes: N images, D latent dimensions, K classes; images are uint8 ``[N, H, W, C]``, vectors float32.
"""

from __future__ import annotations

import base64
import io
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from scipy.interpolate import CubicSpline
from scipy.special import ndtr, ndtri

from tests.fakes.site import LocalService

DIMS = {"grey": 4, "colour": 7, "uniform": 4, "sphere": 4, "vector": 1}
PRIORS = {"grey": "normal", "colour": "normal", "uniform": "uniform", "sphere": "sphere", "vector": "uniform"}
LAST = 2**53 - 1


def philox(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """Return one block of Philox 4x32-10 (Salmon and others, SC'11), in integers of any size."""
    (a, b, c, d), (low, high) = counter, key
    for _ in range(10):
        first, second = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (
            second >> 32 ^ b ^ low, second & 0xFFFFFFFF, first >> 32 ^ d ^ high, first & 0xFFFFFFFF,
        )  # fmt: skip
        low, high = (low + 0x9E3779B9) & 0xFFFFFFFF, (high + 0xBB67AE85) & 0xFFFFFFFF
    return a, b, c, d


def words(seed: int, index: int, stream: int, count: int) -> list[int]:
    key = (seed & 0xFFFFFFFF, seed >> 32)
    blocks = [
        philox((block, index & 0xFFFFFFFF, index >> 32, stream), key) for block in range(-(-count // 4))
    ]
    return [word for block in blocks for word in block][:count]


def normal(seed: int, index: int, dim: int, stream: int = 0) -> np.ndarray:
    return ndtri((np.array(words(seed, index, stream, dim)) + 0.5) / 2**32).astype(np.float32)


def class_of(seed: int, index: int, classes: int = 10) -> int:
    return words(seed, index, 1, 1)[0] * classes >> 32


def graph_input(model: str, g_ND: np.ndarray, mode: str | None = None, value: Any = 1.0) -> np.ndarray:
    """Return z of canonical latents; ``value`` is one for all rows or a column of one for each."""
    g = g_ND.astype(np.float64)
    if PRIORS[model] == "sphere":
        g = math.sqrt(g.shape[1]) * g / np.linalg.norm(g, axis=1, keepdims=True)
    elif PRIORS[model] == "uniform":
        g = 2 * ndtr(g) - 1
    if mode == "scale":
        g = value * g
    elif mode == "threshold":
        g = ndtri(ndtr(-value) + ndtr(g) * (2 * ndtr(value) - 1))
    return g.astype(np.float32)


@cache
def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def drawn(models_dir: Path, model: str, z_ND: np.ndarray, weights_NK: Any = None) -> np.ndarray:
    """Return what the model's file draws of z; images by the pixel rule."""
    feed = {"latent": z_ND.astype(np.float32)}
    if weights_NK is not None:
        feed["class_weights"] = np.asarray(weights_NK, np.float32)
    output = session(models_dir / model / "1" / "generator.onnx").run(None, feed)[0]
    if model == "vector":
        return output
    levels = np.clip(np.round(output * np.float32(127.5) + np.float32(127.5)), 0, 255)
    return np.moveaxis(levels.astype(np.uint8), 1, 3)


def ask(service: LocalService, path: str, **body: Any) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Return the canonical latents, the pixels (or values) and the items of an answer."""
    response = service.post(path, {"output_format": "npy", "return_latents": True, **body})
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    latents = [np.frombuffer(base64.b64decode(item["latent_b64"]), "<f4") for item in data]
    arrays = [np.load(io.BytesIO(base64.b64decode(item["b64_json"]))) for item in data]
    return np.stack(latents), np.stack(arrays), data


def one_hot(*classes: int) -> np.ndarray:
    return np.eye(10)[list(classes)]


def references(*pairs: tuple[int, int]) -> list[dict[str, int]]:
    return [{"seed": seed, "index": index} for seed, index in pairs]


def close(drawn: np.ndarray, expected: np.ndarray) -> bool:
    return np.abs(drawn - expected).max() <= 1e-6 * max(1, np.abs(expected).max())


def test_the_generator_of_these_tests_gives_known_answers() -> None:
    """Two vectors that Random123 publishes."""
    assert philox((0,) * 4, (0,) * 2) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    ones = (0xFFFFFFFF,)
    assert philox(ones * 4, ones * 2) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)


@pytest.mark.parametrize("model", DIMS)
@pytest.mark.parametrize(("seed", "index"), [(0, 0), (42, 3), (2**32 + 7, 2**40 + 1), (LAST, LAST - 2)])
def test_a_seed_and_an_index_are_their_latent(
    service: LocalService, models_dir: Path, model: str, seed: int, index: int
) -> None:
    label = {"class_label": "balanced"} if model == "grey" else {}
    latents, pixels, _ = ask(service, "/generate", model=model, seed=seed, index=index, n=3, **label)
    expected = np.stack([normal(seed, index + place, DIMS[model]) for place in range(3)])
    assert np.array_equal(latents, expected)
    weights = one_hot(*((index + place) % 10 for place in range(3))) if label else None
    assert np.array_equal(pixels, drawn(models_dir, model, graph_input(model, expected), weights))


def test_random_classes_follow_the_first_word_of_their_stream(
    service: LocalService, models_dir: Path
) -> None:
    latents, pixels, items = ask(service, "/generate", seed=2**33 + 9, index=2**32 - 20, n=64)
    classes = [class_of(2**33 + 9, 2**32 - 20 + place) for place in range(64)]
    assert [item["class_label"]["index"] for item in items] == classes
    assert np.array_equal(pixels, drawn(models_dir, "grey", latents, one_hot(*classes)))


@pytest.mark.parametrize(
    ("model", "mode", "value"),
    [
        ("grey", "threshold", 1e-3), ("grey", "threshold", 0.7), ("colour", "threshold", 5),
        ("grey", "scale", 0), ("colour", "scale", 0.6), ("colour", "scale", 2), ("uniform", "scale", 1.5),
        ("vector", "scale", 0.25),
    ],
)  # fmt: skip
def test_truncation_maps_the_latent(
    service: LocalService, models_dir: Path, model: str, mode: str, value: float
) -> None:
    label = {"class_label": 6} if model == "grey" else {}
    truncation = {"mode": mode, "value": value}
    latents, pixels, _ = ask(service, "/generate", model=model, seed=5, n=32, truncation=truncation, **label)
    z = graph_input(model, latents, mode, value)
    if mode == "threshold":
        assert np.abs(z).max() < value
    assert np.array_equal(pixels, drawn(models_dir, model, z, one_hot(*[6] * 32) if label else None))


TERMS = [
    {"weight": 1.5, "of": references((1, 0), (1, 1), (1, 0))},
    {"weight": -0.7, "of": references((2, 0), (1, 1))},
    {"weight": 0.25, "of": references((3, 5))},
]


def sums(model: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Return Σ w_k mean(term_k), the terms' means, and Σ c_u², of ``TERMS``."""
    dim = DIMS[model]
    a, b, c, e = (normal(*pair, dim).astype(np.float64) for pair in ((1, 0), (1, 1), (2, 0), (3, 5)))
    means = np.stack([(2 * a + b) / 3, (b + c) / 2, e])
    squares = 1.0**2 + (0.5 - 0.35) ** 2 + 0.35**2 + 0.25**2
    return 1.5 * means[0] - 0.7 * means[1] + 0.25 * means[2], means, squares


@pytest.mark.parametrize("model", DIMS)
@pytest.mark.parametrize("normalize", ["match", "sphere", "none"])
def test_arithmetic_adds_means_and_normalizes(
    service: LocalService, models_dir: Path, model: str, normalize: str
) -> None:
    body = {"terms": TERMS, "normalize": normalize, "include_terms": True, "model": model}
    body |= {"class_label": 2} if model == "grey" else {}
    latents, pixels, _ = ask(service, "/arithmetic", **body)
    total, means, squares = sums(model)
    expected = np.vstack([total, means])
    if normalize == "match":
        expected /= np.sqrt([[squares], [5 / 9], [1 / 2], [1]])
    elif normalize == "sphere":
        expected *= math.sqrt(DIMS[model]) / np.linalg.norm(expected, axis=1, keepdims=True)
    assert close(latents, expected)
    weights = one_hot(2, 2, 2, 2) if model == "grey" else None
    assert np.array_equal(pixels, drawn(models_dir, model, graph_input(model, latents), weights))


@pytest.mark.parametrize("scale", [0.25, 4])
@pytest.mark.parametrize("model", ["grey", "colour"])
def test_neighbours_are_mixed_with_the_jitter_stream(
    service: LocalService, models_dir: Path, model: str, scale: float
) -> None:
    label = {"class_label": 2} if model == "grey" else {}
    jitter = {"n": 5, "scale": scale, "seed": 2**40 + 3}
    truncation = {"mode": "threshold", "value": 1.25}
    body = {"model": model, "terms": TERMS, "jitter": jitter, "truncation": truncation, **label}
    latents, pixels, _ = ask(service, "/arithmetic", **body)
    total, _, squares = sums(model)
    noise = np.stack([normal(2**40 + 3, place, DIMS[model], stream=2) for place in range(5)])
    result = (total / math.sqrt(squares)).astype(np.float32)
    expected = (result + scale * noise.astype(np.float64)) / math.sqrt(1 + scale**2)
    assert close(latents, np.vstack([result, expected]))
    weights = one_hot(*[2] * 6) if label else None
    z = graph_input(model, latents, "threshold", 1.25)
    assert np.array_equal(pixels, drawn(models_dir, model, z, weights))


def test_the_sum_of_labels_is_clipped_and_normalized(service: LocalService, models_dir: Path) -> None:
    """3·(three ¾, eight ¼) − 0.5·eight − 2·three − nine + one = three ¼, eight ¼, one 1, of 1.5."""
    labels = [(3, {"three": 3, "8": 1}), (-0.5, "eight"), (-2, 3), (-1, "nine"), (1, {"one": 7})]
    terms = [
        {"weight": weight, "of": [{"seed": 4 + place}], "class_label": label}
        for place, (weight, label) in enumerate(labels)
    ]
    latents, pixels, [item] = ask(service, "/arithmetic", terms=terms)
    weights = np.zeros(10)
    weights[[3, 8, 1]] = np.array([0.25, 0.25, 1]) / 1.5
    told = {"one": weights[1], "three": weights[3], "eight": weights[8]}
    assert item["class_label"]["weights"] == pytest.approx(told, rel=1e-12)
    assert np.array_equal(pixels, drawn(models_dir, "grey", latents, weights[None]))


def along(method: str, first: np.ndarray, second: np.ndarray, t: float) -> np.ndarray:
    """Return the point a share ``t`` of the way from one latent to another."""
    mixed = (1 - t) * first + t * second
    if method == "linear":
        return mixed
    if method == "match":
        return mixed / math.hypot(1 - t, t)
    angle = math.acos(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
    return (math.sin((1 - t) * angle) * first + math.sin(t * angle) * second) / math.sin(angle)


def path(method: str, keyframes: np.ndarray, steps: int, *, loop: bool) -> np.ndarray:
    ends = np.vstack([keyframes, keyframes[:1]]) if loop else keyframes
    places = np.arange((len(ends) - 1) * (steps - 1) + 1)[: -1 if loop else None] / (steps - 1)
    if method == "cubic":
        return CubicSpline(np.arange(len(ends)), ends, bc_type="periodic" if loop else "natural")(places)
    segments = [min(int(place), len(ends) - 2) for place in places]
    return np.stack(
        [along(method, ends[s], ends[s + 1], t - s) for s, t in zip(segments, places, strict=True)]
    )


# One dimension has no turn, so that slerp means nothing for the vector model.
METHODS = [(model, "slerp") for model in DIMS if model != "vector"]
METHODS += [(model, method) for model in DIMS for method in ("match", "linear", "cubic")]


@pytest.mark.parametrize(("model", "method"), METHODS)
@pytest.mark.parametrize("loop", [False, True])
def test_interpolation_follows_its_formula(
    service: LocalService, models_dir: Path, model: str, method: str, *, loop: bool
) -> None:
    label = {"class_label": 2} if model == "grey" else {}
    keyframes = [{"latent": one, **label} for one in references((1, 0), (1, 1), (2, 0), (9, 9))]
    body = {"model": model, "keyframes": keyframes, "method": method, "steps": 5, "loop": loop}
    latents, pixels, _ = ask(service, "/interpolate", **body)
    ends = np.stack([normal(*pair, DIMS[model]) for pair in ((1, 0), (1, 1), (2, 0), (9, 9))])
    assert len(latents) == (16 if loop else 13)
    assert close(latents, path(method, ends.astype(np.float64), 5, loop=loop))
    assert np.array_equal(latents[::4], ends)
    weights = one_hot(*[2] * len(latents)) if label else None
    assert np.array_equal(pixels, drawn(models_dir, model, graph_input(model, latents), weights))


@pytest.mark.parametrize("mode", ["threshold", "scale"])
@pytest.mark.parametrize("labels", [("three", {"three": 1, "8": 3}, 0), None])
def test_classes_and_truncations_move_linearly(
    service: LocalService, models_dir: Path, mode: str, labels: tuple[object, ...] | None
) -> None:
    values = np.array([0.5, 2.0, 0.75])
    ends = one_hot(3, 3, 0)
    if labels is None:
        ends = one_hot(*(class_of(seed, 0) for seed in range(3)))
    else:
        ends[1, [3, 8]] = 0.25, 0.75
    keyframes = [
        {"latent": {"seed": seed}, "truncation": {"mode": mode, "value": values[seed]}} for seed in range(3)
    ]
    for keyframe, label in zip(keyframes, labels or (), strict=labels is not None):
        keyframe["class_label"] = label
    latents, pixels, _ = ask(service, "/interpolate", keyframes=keyframes, steps=8, loop=True)
    places = np.arange(21) / 7
    closed = np.vstack([ends, ends[:1]])
    weights = np.transpose([np.interp(places, range(4), column) for column in closed.T])
    moving = np.interp(places, range(4), [*values, values[0]])[:, None]
    z = graph_input("grey", latents, mode, moving)
    assert np.array_equal(pixels, drawn(models_dir, "grey", z, weights))
