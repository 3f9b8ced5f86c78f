"""Which accelerators the machine has, asked of its driver."""

from __future__ import annotations

import ctypes


def cuda_devices() -> int:
    """Return how many CUDA devices the driver reports; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
