"""A batch played in pieces is the batch played at once, wherever no batch norm ties its rows together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.training.playing import SMALL, play, trainer
from training.data import Dataset, load_dataset

ALIKE = {
    # Spectral norm moves once a step all the same; the spread of groups and the reference batch stay whole.
    "default": [*SMALL, "networks.virtual_batch_norm=6", "networks.minibatch_stddev=2", "instance_noise=0.1"],
    # Pairs in both games, R1 and R2.
    "r3gan": SMALL,
    # Masks of dropout, in both networks, are those of the whole batch.
    "cgan": ["batch_size=16", "networks.generator_norm=none", "networks.generator_dropout=0.5"],
}


@pytest.fixture(scope="module")
def digits(cache: Path) -> Dataset:
    return load_dataset("digits", cache)


@pytest.mark.parametrize("recipe", ALIKE)
@pytest.mark.parametrize("pieces", [2, 4])
def test_pieces_add_up_to_the_step_of_the_whole_batch(
    tmp_path: Path, digits: Dataset, recipe: str, pieces: int
) -> None:
    settings = ALIKE[recipe]
    whole = play(tmp_path / "whole", recipe, settings, digits)
    parts = play(tmp_path / "parts", recipe, [*settings, f"accumulation={pieces}"], digits)
    for network in ("generator", "averaged", "discriminator"):
        torch.testing.assert_close(parts[network], whole[network], rtol=1e-3, atol=2e-5)
    assert torch.equal(parts["random"], whole["random"])
    assert torch.equal(parts["torch_random"], whole["torch_random"])


def test_a_network_sees_one_piece_at_a_time(tmp_path: Path, digits: Dataset) -> None:
    """What it is for: activations of a quarter of the rows, though all rows are played."""
    player = trainer(tmp_path / "run", "r3gan", [*SMALL, "accumulation=4"], digits)
    seen: list[int] = []
    player.state.generator.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    player.turn()
    assert seen == [4] * 8, "four pieces for D, and four for G"


def test_a_batch_norm_sees_the_piece_that_is_played(tmp_path: Path, digits: Dataset) -> None:
    """As documented: its statistics move with every piece, each by itself."""
    player = trainer(tmp_path / "run", "dcgan", [*SMALL, "accumulation=4"], digits)
    player.game.generator_step()
    assert int(player.state.generator.layers.norms[0].norm.num_batches_tracked) == 4
