"""Class labels: weights are normalized once, and stay as they are when they come back."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from service.labels import read_labels, weights_matrix
from service.latent_refs import Origin

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
    assert math.isclose(sum(label.weights.values()), 1.0, abs_tol=1e-9)
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
