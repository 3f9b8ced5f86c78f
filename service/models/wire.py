"""How large an ONNX file is apart from its weights, found out before it is parsed.

Weights stay as large as they are. Everything else becomes objects, fifty times the size of the least bytes
that spell them: a file of a few megabytes could fill the memory.

Source: https://protobuf.dev/programming-guides/encoding and onnx.proto (the numbers of fields).
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH, _GRAPH_INITIALIZER, _TENSOR_RAW_DATA = 7, 5, 9
_MOST_VARINT_BITS = 64


class Malformed(ValueError):
    """The bytes are no protobuf message."""


def structure_bytes(data: bytes, most_fields: int) -> int:
    """Return how many bytes of an ONNX file are no raw weights.

    Raises ``Malformed`` if the bytes are no message, or if more than ``most_fields`` stand at one level.
    """
    view = memoryview(data)
    weights = 0
    for graph in _fields(view, _MODEL_GRAPH, most_fields):
        for tensor in _fields(graph, _GRAPH_INITIALIZER, most_fields):
            weights += sum(len(raw) for raw in _fields(tensor, _TENSOR_RAW_DATA, most_fields))
    return len(data) - weights


def _fields(message: memoryview, wanted: int, most: int) -> Iterator[memoryview]:
    """Yield the length-delimited fields of one number in a message."""
    place = seen = 0
    while place < len(message):
        seen += 1
        if seen > most:
            raise Malformed(f"more than {most} fields")
        key, place = _varint(message, place)
        kind, number = key & 7, key >> 3
        if kind == _VARINT:
            _, place = _varint(message, place)
        elif kind == _BYTES:
            length, place = _varint(message, place)
            if length > len(message) - place:
                raise Malformed("a field is longer than its message")
            if number == wanted:
                yield message[place : place + length]
            place += length
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise Malformed("a field of no known kind")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _MOST_VARINT_BITS + 6, 7):
        if place >= len(message):
            raise Malformed("a number is cut off")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise Malformed("a number is too long")
