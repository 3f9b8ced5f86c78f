"""Naming latents, and doing sums with them.

>>> L(42)                                         # the first latent of seed 42
>>> L(42, [0, 3, 7])                              # three of its latents: their mean, in a sum
>>> L(42, [0, 3, 7]) - L(9, [1, 2, 4]) + 0.5 * L(5)
>>> L(latent=array)                               # numbers of your own, float32 [d] or [m, d]
"""

from __future__ import annotations

import base64
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from forger.errors import Misuse

ClassLabel = int | str | Mapping[str, float] | Sequence[int | str | Mapping[str, float]]
"""An index, a name, ``"random"``, ``"balanced"``, weights by name or index, or a list with one an image."""


@dataclass(frozen=True)
class Sum:
    """A weighted sum of latents; each of its terms is the mean of some."""

    terms: tuple[tuple[float, L], ...]

    def __add__(self, other: Sum | L) -> Sum:
        return Sum(self.terms + _sum(other).terms)

    def __sub__(self, other: Sum | L) -> Sum:
        return self + -_sum(other)

    def __neg__(self) -> Sum:
        return -1.0 * self

    def __mul__(self, weight: float) -> Sum:
        return Sum(tuple((weight * own, term) for own, term in self.terms))

    __rmul__ = __mul__

    def __truediv__(self, weight: float) -> Sum:
        return self * (1 / weight)

    def __str__(self) -> str:
        """Spell the sum as :func:`parse_sum` reads it; raises ``Misuse`` for latents without a seed."""
        spelled = [(weight, term.spelled()) for weight, term in self.terms]
        first, *others = (f"{'-' if weight < 0 else '+'} {_times(weight)}{term}" for weight, term in spelled)
        return " ".join([first.removeprefix("+ "), *others])

    def document(self) -> list[dict[str, Any]]:
        """Return the sum as ``POST /arithmetic`` takes it."""
        return [{"weight": weight, **term.term()} for weight, term in self.terms]


class L:
    """One latent or several, by seed and index or by their numbers, with a class label if it matters.

    ``index`` is one index or a list of them. ``latent`` holds canonical latents, float ``[d]`` or ``[m, d]``;
    ``z`` the same, but past the model's prior. Give exactly one of ``seed``, ``latent`` and ``z``.
    """

    def __init__(
        self,
        seed: int | None = None,
        index: int | Sequence[int] = 0,
        *,
        latent: ArrayLike | None = None,
        z: ArrayLike | None = None,
        class_label: ClassLabel | None = None,
    ) -> None:
        if sum(given is not None for given in (seed, latent, z)) != 1:
            raise Misuse("L takes a seed, a latent or z: exactly one of them")
        if seed is not None:
            indices = index if isinstance(index, Sequence | np.ndarray) else [index]
            self.references: list[dict[str, Any]] = [
                {"seed": whole(seed, "seed"), "index": whole(one, "index")} for one in indices
            ]
        elif latent is not None:
            self.references = [{"latent_b64": _base64(row)} for row in _rows(latent, "latent")]
        else:
            assert z is not None
            self.references = [{"z": row.tolist()} for row in _rows(z, "z")]
        if not self.references:
            raise Misuse("L takes at least one index")
        self.class_label = class_label

    def labelled(self, class_label: ClassLabel) -> Self:
        """Return the same latents with a class label."""
        other = object.__new__(type(self))
        other.references, other.class_label = self.references, class_label
        return other

    def term(self) -> dict[str, Any]:
        """Return the latents as a term of a sum."""
        return {"of": self.references} | self._label()

    def keyframe(self) -> dict[str, Any]:
        """Return the latent as a keyframe; raises ``Misuse`` if there are several."""
        if len(self.references) != 1:
            raise Misuse(f"a keyframe is one latent, not {len(self.references)}")
        return {"latent": self.references[0]} | self._label()

    def spelled(self) -> str:
        """Spell the latents as a term of a sum; raises ``Misuse`` if they have no one seed, or a mixture."""
        if "seed" not in self.references[0] or isinstance(self.class_label, Mapping | list | tuple):
            raise Misuse("only latents of a seed, of one class if any, are spelled as a text")
        indices = ",".join(str(reference["index"]) for reference in self.references)
        label = self.class_label
        if isinstance(label, str):
            label = f'"{label}"' if label.isdecimal() or _NOT_PLAIN.search(label) else label
        return f"{self.references[0]['seed']}:{indices}" + ("" if label is None else f"@{label}")

    def _label(self) -> dict[str, Any]:
        return {} if self.class_label is None else {"class_label": self.class_label}

    def __add__(self, other: Sum | L) -> Sum:
        return _sum(self) + other

    def __sub__(self, other: Sum | L) -> Sum:
        return _sum(self) - other

    def __neg__(self) -> Sum:
        return -_sum(self)

    def __mul__(self, weight: float) -> Sum:
        return _sum(self) * weight

    __rmul__ = __mul__

    def __truediv__(self, weight: float) -> Sum:
        return _sum(self) / weight

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, L):
            return NotImplemented
        return (self.references, self.class_label) == (other.references, other.class_label)

    __hash__ = None  # type: ignore[assignment]  # its references may be long, and its label a list

    def __repr__(self) -> str:
        label = "" if self.class_label is None else f", class_label={self.class_label!r}"
        if "seed" in self.references[0]:
            indices = [reference["index"] for reference in self.references]
            return f"L({self.references[0]['seed']}, {indices[0] if len(indices) == 1 else indices}{label})"
        return f"L({len(self.references)} latents{label})"


def _sum(one: Sum | L) -> Sum:
    return one if isinstance(one, Sum) else Sum(((1.0, one),))


def as_sum(one: Sum | L) -> Sum:
    """Return a single term as a sum of one."""
    return _sum(one)


def whole(number: object, name: str) -> int:
    """Return a whole number, one of numpy's too; raises ``Misuse``."""
    try:
        return operator.index(number)  # type: ignore[arg-type]  # which is what is tried here
    except TypeError:
        raise Misuse(f"{name} is a whole number, not {number!r}") from None


def _rows(numbers: ArrayLike, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    try:
        array = np.asarray(numbers, np.float32)
    except (TypeError, ValueError) as error:
        raise Misuse(f"{name} is float [d] or [m, d]: {error}") from None
    if array.ndim not in (1, 2) or array.size == 0:
        raise Misuse(f"{name} is float [d] or [m, d], not of the shape {list(array.shape)}")
    return np.atleast_2d(array)


def _base64(row: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode("ascii")


_TERM = re.compile(
    r"""\s*(?P<sign>[+-]?)\s*
        (?:(?P<weight>\d+(?:\.\d*)?|\.\d+)\s*\*\s*)?
        (?P<seed>\d+)
        (?::(?P<indices>\d+(?:\s*,\s*\d+)*))?
        (?:@(?:"(?P<quoted>[^"]+)"|(?P<label>[^\s+"@]+)))?\s*""",
    re.VERBOSE | re.ASCII,
)
_NOT_PLAIN = re.compile(r'[\s+"@]')


def parse_sum(text: str) -> Sum:
    """Return the sum that a text spells: ``42:0,3,7 - 9:1,2,4 + 0.5*5:0@eight``.

    A term is a seed, with indices behind a colon, a weight before an asterisk, and a class label behind an @:
    a name, in double quotes if it has spaces or is a number, or an index.
    Raises ``Misuse`` showing where the text cannot be read.
    """
    place = 0
    terms: list[tuple[float, L]] = []
    while place < len(text):
        found = _TERM.match(text, place)
        if found is None or (terms and not found["sign"]):
            raise Misuse(
                f"cannot read {text[place:]!r} in {text!r}: a sum is like '42:0,3 - 9:1 + 0.5*5@eight'"
            )
        weight = float(found["weight"] or 1) * (-1 if found["sign"] == "-" else 1)
        terms.append((weight, _latents(found)))
        place = found.end()
    if not terms:
        raise Misuse("a sum has at least one term, like '42:0,3'")
    return Sum(tuple(terms))


def _latents(found: re.Match[str]) -> L:
    indices = [int(one) for one in (found["indices"] or "0").split(",")]
    label: ClassLabel | None = found["quoted"] or found["label"]
    if found["label"] and found["label"].isdecimal():
        label = int(found["label"])
    return L(int(found["seed"]), indices, class_label=label)


def _times(weight: float) -> str:
    """Spell a weight's size, without an exponent and to the last bit, or nothing for 1."""
    size = abs(weight)
    return "" if size == 1 else f"{np.format_float_positional(size, trim='-')}*"


def parse_keyframe(text: str) -> L:
    """Return the latent that a text such as ``7``, ``7:3`` or ``7:3@two`` spells; raises ``Misuse``."""
    terms = parse_sum(text).terms
    if len(terms) != 1 or terms[0][0] != 1.0:
        raise Misuse(f"a keyframe is one latent, like '7:3@two', not {text!r}")
    return terms[0][1]
