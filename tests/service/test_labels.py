"""Class labels: weights are normalized once, and stay as they are when they come back."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.generation.label_reading import read_labels
from service.generation.labels import Label, between, blended, weights_matrix
from service.generation.latent_refs import Origin

CLASSES = ("a", "b", "2", "random", "e")
HERE = [Origin(seed=1, index=0)]

weights = st.dictionaries(
    st.sampled_from(["a", "b", "2", "random", "4"]),
    st.floats(0, 1e300) | st.integers(0, 10**40),
    min_size=1,
).filter(lambda drawn: max(drawn.values()) > 0)


@given(weights)
def test_normalized_weights_sum_to_one_and_survive_another_round(given_weights: dict[str, float]) -> None:
    """What a recipe says draws the image again only if normalizing twice changes no bit."""
    [label] = read_labels(given_weights, HERE, CLASSES)
    assert np.float32(math.fsum(label.weights.values())) == 1
    names = {CLASSES[index]: weight for index, weight in label.weights.items()}
    [again] = read_labels(names, HERE, CLASSES)
    assert again == label


@given(weights)
def test_weights_keep_their_proportions_and_places(given_weights: dict[str, float]) -> None:
    [label] = read_labels(given_weights, HERE, CLASSES)
    row = weights_matrix([label], len(CLASSES))[0]
    largest = max(given_weights.values())
    for name, weight in given_weights.items():
        index = CLASSES.index(name) if name in CLASSES else int(name)
        assert math.isclose(row[index] / row.max(), weight / largest, rel_tol=1e-5, abs_tol=1e-30)


def test_a_name_comes_before_a_keyword_and_before_an_index() -> None:
    origins = [Origin(seed=1, index=index) for index in range(4)]
    assert [label.index for label in read_labels("random", origins, CLASSES)] == [3, 3, 3, 3]
    assert [label.index for label in read_labels({"2": 1}, HERE, CLASSES)] == [2]
    assert [label.index for label in read_labels({"4": 1}, HERE, CLASSES)] == [4]
    assert [label.index for label in read_labels("2", HERE, CLASSES)] == [2]


def test_a_mixture_of_one_class_is_that_class() -> None:
    [label] = read_labels({"a": 0, "b": 0.2}, HERE, CLASSES)
    assert (label.index, label.weights) == (1, {1: 1.0})


def test_weights_that_sum_to_one_in_float32_stay_as_they_are() -> None:
    """What was written down in float32 comes back to the last bit."""
    thirds = {"a": 0.33333334, "b": 0.33333334, "e": 0.33333334}
    [label] = read_labels(thirds, HERE, CLASSES)
    assert list(label.weights.values()) == list(thirds.values())


def test_a_weight_that_is_nothing_in_float32_is_no_part_of_the_mixture() -> None:
    for factor in (1, 2, 0.5):
        [label] = read_labels({"a": factor, "b": 1e-60 * factor}, HERE, CLASSES)
        assert (label.index, label.weights) == (0, {0: 1.0})


def test_random_in_a_list_is_each_images_own_class() -> None:
    """As it is drawn without a list, whatever stands beside it."""
    origins = [Origin(7, index) for index in range(40)]
    classes = ("a", "b", "c")
    alone = read_labels("random", origins, classes)
    mixed = read_labels(["random" if index % 3 else 1 for index in range(40)], origins, classes)
    assert alone is not None
    assert mixed is not None
    for index, label in enumerate(mixed):
        assert label == (alone[index] if index % 3 else Label({1: 1.0}))


def test_random_that_is_a_class_is_that_class_in_a_list_too() -> None:
    assert read_labels(["random"], [Origin(7, 0)], ("zero", "random")) == [Label({1: 1.0})]


def test_a_blend_keeps_what_is_small_and_drops_what_rounding_leaves() -> None:
    three, four = Label({3: 1.0}), Label({4: 1.0})
    assert blended([three, four], [1e-9, -1e4]) == three
    assert blended([three, three, three, four], [0.1, 0.2, -0.3, 1.0]) == four
    assert blended([three, three], [1.0, -1.0]) is None


def test_the_way_between_two_mixtures_loses_no_class() -> None:
    first, second = Label({3: 1 - 1e-13, 5: 1e-13}), Label({3: 1 - 2e-13, 5: 2e-13})
    assert {*between(first, second, 0.5).weights} == {3, 5}
    assert between(first, second, 0.0) is first
