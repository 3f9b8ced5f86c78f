"""tools/accelerator: the GPU build is chosen only where it can work."""

import os
import platform
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="only there is there a GPU build"
)


def ask(tmp_path: Path, *, nvidia_smi: str | None, kernel: str = "") -> tuple[str, str]:
    """Run the tool on a machine with such an nvidia-smi and kernel module; returns its two outputs."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("sh", "sed", "uname"):
        source = next(path for folder in ("/bin", "/usr/bin") if (path := Path(folder, name)).exists())
        (commands / name).symlink_to(source)
    if nvidia_smi is not None:
        (commands / "nvidia-smi").write_text(f"#!/bin/sh\n{nvidia_smi}\n")
        (commands / "nvidia-smi").chmod(0o755)
    (tmp_path / "version").write_text(kernel)
    done = subprocess.run(
        [ROOT / "tools" / "accelerator", tmp_path / "version"],
        env=os.environ | {"PATH": str(commands)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout, done.stderr


def test_a_machine_without_a_driver_gets_the_cpu_build(tmp_path: Path) -> None:
    """And no word about it."""
    assert ask(tmp_path, nvidia_smi=None) == ("cpu\n", "")


@pytest.mark.parametrize("version", ["580.65.06", "615.71", "1000.1.1"])
def test_a_driver_for_cuda_13_gets_the_gpu_build(tmp_path: Path, version: str) -> None:
    """One line for each GPU does not confuse it."""
    assert ask(tmp_path, nvidia_smi=f"echo {version}; echo {version}") == ("gpu\n", "")


def test_an_older_driver_gets_the_cpu_build_and_a_word_about_it(tmp_path: Path) -> None:
    """The word names both versions and does not get into the answer."""
    answer, word = ask(tmp_path, nvidia_smi="echo 535.183.01")
    assert answer == "cpu\n"
    assert "535" in word
    assert "580" in word


def test_a_driver_that_finds_no_gpu_gets_the_cpu_build(tmp_path: Path) -> None:
    """nvidia-smi is there, and says that there is nothing to see."""
    assert ask(tmp_path, nvidia_smi="echo No devices were found; exit 6") == ("cpu\n", "")


def test_the_kernel_module_speaks_where_nvidia_smi_is_missing(tmp_path: Path) -> None:
    """Containers often have the driver and not the tool."""
    kernel = (
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\nGCC version\n"
    )
    assert ask(tmp_path, nvidia_smi=None, kernel=kernel) == ("gpu\n", "")
