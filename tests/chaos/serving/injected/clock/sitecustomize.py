"""A service with this on its PYTHONPATH has a wall clock that a file shifts; the machine's own stays.

The file holds one float64, the seconds to add. Everything in Python that reads the wall clock reads it
shifted: ``time.time``, ``time_ns``, what they are by default to ``localtime`` and the like, and ``datetime``.
The monotonic clock and the performance counter are others, and are left alone, as a step of the real clock
leaves them alone.
"""

from __future__ import annotations

import datetime as dt
import mmap
import os
import struct
import time
from pathlib import Path
from typing import Any

with Path(os.environ["SIEGE_CLOCK"]).open("rb") as _file:
    _shared = mmap.mmap(_file.fileno(), 8, prot=mmap.PROT_READ)

_time, _time_ns = time.time, time.time_ns
_REAL = dt.datetime


def _shift_s() -> float:
    return struct.unpack_from("<d", _shared)[0]


def _now_by_default(function: Any) -> Any:
    return lambda seconds=None: function(time.time() if seconds is None else seconds)


class _Kind(type):
    """A date made before or elsewhere is one as well."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL)


class _Datetime(_REAL, metaclass=_Kind):
    """The class of dates, by the shifted clock."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return _REAL.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return _REAL.fromtimestamp(time.time(), dt.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return _REAL.fromtimestamp(time.time())


time.time = lambda: _time() + _shift_s()
time.time_ns = lambda: _time_ns() + int(_shift_s() * 1e9)
for _name in ("localtime", "gmtime", "ctime"):
    setattr(time, _name, _now_by_default(getattr(time, _name)))
dt.datetime = _Datetime
