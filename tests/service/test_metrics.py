"""Metrics over several processes: values add up, and a killed worker's gauges do not live on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WORKER = """
import os, signal, sys
from service.metrics import Metrics
metrics = Metrics()
backend = object()
metrics.name_backend(backend, "grey", 1)
metrics.rows_delivered("grey", 1, 3)
metrics.waiting_changed(backend, 5)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
print(metrics.render().decode())
"""


def test_counters_of_all_workers_add_up_and_a_dead_workers_gauge_is_gone(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    environ = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PATH": "", "PYTHONPATH": str(root)}
    texts = [
        subprocess.run(
            [sys.executable, "-c", WORKER, fate], env=environ, capture_output=True, text=True, check=False
        ).stdout
        for fate in ("killed", "lives")
    ]
    assert 'forger_images_total{model="grey",version="1"} 6.0' in texts[1]
    assert 'forger_queue_rows{model="grey",version="1"} 5.0' in texts[1]


def test_a_file_that_a_worker_is_just_making_is_passed_by(tmp_path: Path) -> None:
    """It is empty for a moment; whoever asks for the metrics then gets all others."""
    (tmp_path / "gauge_livesum_1.db").touch()
    root = Path(__file__).resolve().parents[2]
    environ = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PATH": "", "PYTHONPATH": str(root)}
    read = subprocess.run(
        [sys.executable, "-c", WORKER, "lives"], env=environ, capture_output=True, text=True, check=True
    )
    assert 'forger_images_total{model="grey",version="1"} 3.0' in read.stdout
