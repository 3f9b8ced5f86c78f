"""The reproducibility contract, on a real server: an image is a pure function of what it was asked by."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fakes.server import ROOT, ServerProcess

SEED = 42


def shipped() -> list[str]:
    return sorted({path.parts[-3] for path in (ROOT / "models").glob("*/*/manifest.json")})


def images(server: ServerProcess, model: str, **body: object) -> list[object]:
    items = server.generate({"model": model, "seed": SEED, **body}).json()["data"]
    return [item.get("values") or base64.b64decode(item["b64_json"]) for item in items]


def check_contract(server: ServerProcess, model: str) -> list[object]:
    """Require the same bytes alone, inside 64, and among 32 concurrent requests; return the 64."""
    together = images(server, model, n=64)
    assert len({str(one) for one in together}) > 32
    for place in (0, 1, 17, 63):
        assert images(server, model, index=place) == [together[place]]

    def ask(place: int) -> bool:
        count = 1 + place % 5
        return images(server, model, index=place, n=count) == together[place : place + count]

    with ThreadPoolExecutor(32) as clients:
        assert all(clients.map(ask, range(0, 59, 1)))
    return together


@pytest.mark.parametrize("model", ["grey", "colour", "uniform", "sphere", "vector"])
def test_the_same_bytes_whatever_else_runs(server: ServerProcess, model: str) -> None:
    check_contract(server, model)


def test_the_same_bytes_after_a_restart(server: ServerProcess, served_models: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "home", models_dir=served_models, threads=1) as restarted:
        for model in ("grey", "colour", "vector"):
            assert images(restarted, model, n=64) == images(server, model, n=64)


def test_the_shipped_models_keep_the_contract_over_a_restart(tmp_path: Path) -> None:
    assert {"digits", "gaussian", "mnist"} <= set(shipped())
    with ServerProcess(tmp_path / "first", models_dir=ROOT / "models") as first:
        drawn = {model: check_contract(first, model) for model in shipped()}
    with ServerProcess(tmp_path / "second", models_dir=ROOT / "models") as second:
        for model, expected in drawn.items():
            assert images(second, model, n=64) == expected
