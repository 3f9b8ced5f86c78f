"""A container's quota counts, in both versions of control groups, on any level."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from service.cpus import _quota, available_cpus

TENTH = "100000"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("own", "files", "cpus"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/\n", {}, math.inf),
        ("0::/\n", {"cpu.max": "nonsense\n"}, math.inf),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "150000 100000", "cpu.max": "9 1"}, 1.5),
        ("0::/known/to/the/host\n", {"cpu.max": "50000 100000"}, 0.5),
        ("0::/../../else\n", {"cpu.max": "300000 100000"}, 3.0),
        (
            "4:cpu,cpuacct:/d\n0::/d\n",
            {"cpu,cpuacct/d/cpu.cfs_quota_us": "400000", "cpu,cpuacct/d/cpu.cfs_period_us": TENTH},
            4.0,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": TENTH}, math.inf),
        ("3:cpuset:/\n", {"cpuset/cpu.cfs_quota_us": "1", "cpuset/cpu.cfs_period_us": TENTH}, math.inf),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "100000"}, math.inf),
    ],
)
def test_a_quota_is_found(tmp_path: Path, own: str, files: dict[str, str], cpus: float) -> None:
    write(tmp_path, {"own": own})
    write(tmp_path / "groups", files)
    assert _quota(tmp_path / "own", tmp_path / "groups") == cpus


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert _quota(tmp_path / "none", tmp_path) == math.inf


@pytest.mark.parametrize(("quota", "cpus"), [(0.2, 1), (1.5, 2), (3.0, 3), (math.inf, 4)])
def test_threads_are_no_more_than_the_quota_and_one_at_least(
    monkeypatch: pytest.MonkeyPatch, quota: float, cpus: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 5}, raising=False)
    monkeypatch.setattr("service.cpus._quota", lambda: quota)
    assert available_cpus() == cpus
