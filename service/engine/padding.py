"""Rules by which a run's rows are filled up, so that kernels treat each row alike in every batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.engine.devices import Device


@dataclass(frozen=True)
class Padding:
    """A rule by which a run's rows are filled up with zeros."""

    name: str
    rule: Callable[[int], int]
    most: int

    def size(self, rows: int) -> int:
        """Return how many rows are run for so many, 1 to ``most``."""
        return min(self.rule(rows), self.most)


def _next_power_of_two(rows: int) -> int:
    return 1 << (rows - 1).bit_length()


def paddings(max_batch: int, device: Device) -> list[Padding]:
    """Return the padding rules to try, cheapest first; the last one always runs the same shape.

    On CUDA shapes are few from the start: kernels are chosen again for every new one.
    """
    rules: dict[str, Callable[[int], int]] = {}
    if device == "cpu":
        rules = {
            "none": lambda rows: rows,
            "at least 2": lambda rows: max(rows, 2),
            "multiples of 4": lambda rows: -(-rows // 4) * 4,
            "multiples of 8": lambda rows: -(-rows // 8) * 8,
        }
    rules |= {"powers of two": _next_power_of_two, f"always {max_batch}": lambda _rows: max_batch}
    return [Padding(name, rule, max_batch) for name, rule in rules.items()]


def probed_batches(max_batch: int) -> list[int]:
    """Return the sizes at which kernels may change: powers of two and their neighbours below the largest."""
    powers = [1 << exponent for exponent in range(max_batch.bit_length() + 1)]
    near = {power + step for power in powers for step in (-1, 0, 1)}
    return sorted(size for size in near if 1 <= size < max_batch)
