"""HTTP/1.1 with limits, for uvicorn: ``uvicorn.Config(http=guarded_protocol(within_descriptors(limits)))``.

uvicorn bounds neither the time that a client takes, nor a head's size, nor a connection's unread answers.
"""

from __future__ import annotations

import asyncio

from service.http.protocol.descriptors import within_descriptors
from service.http.protocol.guard import Notice
from service.http.protocol.limits import ConnectionLimits
from service.http.protocol.sweeper import Sweeper

__all__ = ["ConnectionLimits", "guarded_protocol", "within_descriptors"]


def guarded_protocol(
    limits: ConnectionLimits, root_path: str = "", notice: Notice | None = None
) -> type[asyncio.Protocol]:
    """Return a protocol class with these limits: on httptools, or on h11 where that is not installed.

    ``notice`` is told of each request that is refused before there is an exchange: which problem it was
    answered with, and the id that the answer names.
    """
    try:
        from service.http.protocol.on_httptools import GuardedHttpTools as Guarded  # noqa: PLC0415 - may be missing
    except ImportError:
        from service.http.protocol.on_h11 import GuardedH11 as Guarded  # type: ignore[assignment]  # noqa: PLC0415
    sweeper = Sweeper(limits)
    return type(
        Guarded.__name__,
        (Guarded,),
        {
            "limits": limits,
            "sweeper": sweeper,
            "url_prefix": root_path,
            "notice": staticmethod(notice or _unnoticed),
        },
    )


def _unnoticed(_problem: object, _request_id: str) -> None:
    """Take no notice."""
