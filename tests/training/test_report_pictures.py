"""The report's pictures show what they say: neighbours, walks, curves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data import load_dataset
from training.evaluation.curves import histograms, loss_curves, read_metrics
from training.evaluation.pictures import FRAMES, class_walks, grid, neighbourhoods, slerp


def test_draws_stand_beside_their_nearest_training_images(cache: Path) -> None:
    """Copies come first, at a distance of nothing, beside the very image that they copy."""
    digits = load_dataset("digits", cache)
    training, held_out = digits.part(held_out=False), digits.part(held_out=True)
    drawn = np.concatenate([held_out.samples[:30], training.samples[[5, 9]]])
    found = neighbourhoods(drawn, None, training, held_out, 2)
    assert [one.distance for one in found[:2]] == [0, 0]
    assert all(one.distance > 0 for one in found[2:])
    first = np.asarray(found[0].picture)
    edge = first.shape[1] // 4
    assert np.abs(first[:, 2:edge].astype(int) - first[:, edge : 2 * edge - 2].astype(int)).mean() < 60


def test_slerp_keeps_the_length_and_meets_its_ends() -> None:
    start, stop = np.array([3.0, 0, 0], np.float32), np.array([0, 3.0, 0], np.float32)
    path = slerp(start, stop, np.linspace(0, 1, FRAMES))
    assert np.linalg.norm(path, axis=1) == pytest.approx(3.0)
    assert np.allclose(path[[0, -1]], [start, stop], atol=1e-6)
    assert slerp(start[:1], stop[:1] + 1, np.array([0.5]))[0] == pytest.approx([2.0])
    assert np.allclose(slerp(start, start, np.array([0.3])), start)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_walks_lead_from_one_class_to_another(classes: int) -> None:
    walks = class_walks(classes, min(4, classes))
    assert all(start != stop and 0 <= stop < classes for start, stop in walks)


def test_large_pictures_are_shrunk_for_the_page() -> None:
    picture = grid(np.zeros((2, 300, 150, 3), np.uint8), 2)
    assert isinstance(picture, Image.Image)
    assert picture.size == (2 * 48 + 3, 96 + 2)


def test_curves_are_drawn_of_what_the_metrics_hold(tmp_path: Path) -> None:
    """A torn last line is passed over, long runs are thinned, and what is not there has no panel."""
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"images_seen": n, "d_loss": n % 7, "g_loss": 1.0}) for n in range(1000)]
    path.write_text("\n".join(lines) + '\n{"images_seen": 10')
    metrics = read_metrics(path)
    assert len(metrics) == 1000
    panels = loss_curves(metrics)
    assert [title for title, _ in panels] == ["Losses"]
    points = re.findall(r'points="([^"]+)"', panels[0][1])
    assert len(points) == 2
    assert all(len(line.split()) == 250 for line in points)
    assert loss_curves([]) == read_metrics(tmp_path / "none.jsonl") == []


def test_histograms_of_one_value_can_be_drawn() -> None:
    assert "<svg" in histograms({"drawn": np.ones(5)})
