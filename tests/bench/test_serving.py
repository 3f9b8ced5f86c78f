"""The serving benchmark: its generators are models like any other, and its table says what was measured."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from bench.serving.ceiling import Ceiling
from bench.serving.load import Workload
from bench.serving.machine import busy_s, cpu_s, resident_mib
from bench.serving.models import make_model, make_models
from bench.serving.servers import MANY, ONE, PEERS_BY_NAME, forger
from bench.serving.table import table
from tests.fakes.site import local_service


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_model(folder, "bench-mnist")
    return folder


def asked(work: Workload) -> tuple[str, dict, dict[str, str]]:
    body = json.loads(work.body.replace("%SEED%", "7"))
    return work.path, body, dict(line.split(": ") for line in work.headers)


def test_the_service_answers_what_it_is_measured_with(models: Path) -> None:
    works = forger("bench-mnist").works
    with local_service(models, default_model="bench-mnist") as service:
        path, body, headers = asked(works[ONE])
        [item] = service.request("POST", path, json=body, headers=headers).json()["data"]
        assert (item["content_type"], item["seed"]) == ("image/png", 7)
        path, body, headers = asked(works[MANY])
        drawn = np.load(io.BytesIO(service.request("POST", path, json=body, headers=headers).content))
    assert (drawn.shape, drawn.dtype) == ((64, 28, 28, 1), np.uint8)
    assert drawn.std() > 40, "pixels are spread as a trained generator's are"


def test_generators_are_made_once_and_are_the_same_whenever_they_are_made(
    models: Path, tmp_path: Path
) -> None:
    made = make_model(tmp_path, "bench-mnist")
    before = made.read_bytes()
    assert before == (models / "bench-mnist/1/generator.onnx").read_bytes()
    make_model(tmp_path, "bench-mnist", "bench-dcgan64")  # stands for the other, which takes longer
    assert set(make_models(tmp_path)) == {"bench-mnist", "bench-dcgan64"}
    assert len(list(tmp_path.glob("*/*"))) == 2


def test_every_peer_is_asked_with_a_seed_and_json() -> None:
    for peer in PEERS_BY_NAME.values():
        assert set(peer.works) <= {ONE, MANY}
        for work in peer.works.values():
            assert "%SEED%" in work.body
            asked(work)


def test_the_ceiling_is_a_rate_of_images(models: Path) -> None:
    with Ceiling(1) as ceiling:
        few, many = (ceiling.images_per_s(models / "bench-mnist/1/generator.onnx", rows) for rows in (1, 8))
        assert resident_mib(ceiling.pid) > 10
        assert cpu_s([ceiling.pid]) > 0.5
    assert few > 1
    assert many > 1
    assert busy_s() > 0


def test_a_row_of_the_table_is_a_server_and_a_column_a_cell() -> None:
    def cell(server: str, workload: str, connections: int, ratio: float, errors: int = 0) -> dict:
        return {
            "server": server, "model": "m", "workload": workload, "connections": connections, "ratio": ratio,
            "p50_ms": 1.25, "errors": errors, "resident_mib": 100 + connections, "ready_s": 1.5,
        }  # fmt: skip

    lines = table(
        [
            cell("forger", ONE, 1, 0.5),
            cell("forger", MANY, 4, 0.95),
            cell("other", ONE, 1, 0.25, errors=3),
            cell("other, arrays", MANY, 4, 0.5),
            cell("third", ONE, 1, 0.1),
        ]
    ).splitlines()
    assert lines[2] == f"| | {ONE}, 1 | {MANY}, 4 | MiB | ready, s |"
    assert lines[4] == "| forger | 0.50, 1.2 | 0.95, 1.2 | 104 | 1.5 |"
    assert lines[5] == "| other | 0.25, 1.2, 3 errors | 0.50, 1.2 | 104 | 1.5 |"
    assert lines[6] == "| third | 0.10, 1.2 | – | 101 | 1.5 |"
