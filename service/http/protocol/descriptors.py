"""Room for as many connections as are allowed: a process without descriptors left accepts none at all."""

from __future__ import annotations

import logging
import resource
from dataclasses import replace

from service.http.protocol.limits import ConnectionLimits

logger = logging.getLogger("forger.http")

_FOR_ALL_ELSE = 256
"""Descriptors for models, logs, metrics, and connections that are being refused."""


def within_descriptors(limits: ConnectionLimits) -> ConnectionLimits:
    """Raise the process's own limit of descriptors as far as needed; return what can be kept of the limits.

    What the system does not allow is refused at the door, with an answer, instead of not being heard.
    """
    wanted = limits.max_connections + _FOR_ALL_ELSE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return limits
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == wanted:
        return limits
    fewer = max(1, allowed - _FOR_ALL_ELSE)
    logger.warning(
        "the system allows %d descriptors: room for %d connections instead of %d",
        allowed,
        fewer,
        limits.max_connections,
        extra={"event": "fewer-connections"},
    )
    return replace(limits, max_connections=fewer)
