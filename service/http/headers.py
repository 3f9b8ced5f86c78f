"""A request's headers, read once and looked at from many sides."""

from __future__ import annotations

from collections.abc import Iterable


class RequestHeaders:
    """All values of each header, by its name in lower case, as ASGI states them."""

    __slots__ = ("_values",)

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[bytes, list[bytes]] = {}
        for name, value in raw:
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: bytes) -> bool:
        return name in self._values

    def first(self, name: bytes) -> str | None:
        """Return the first value of a header, or None if it is not there."""
        values = self._values.get(name)
        return values[0].decode("latin-1") if values else None

    def all(self, name: bytes) -> list[str]:
        """Return the values of a header in order, none if it is not there."""
        values = self._values.get(name)
        return [value.decode("latin-1") for value in values] if values else []
