"""Conditional requests: whether a client's copy is the current one.

Source: RFC 9110, 13.1.2.
"""

from __future__ import annotations

import re

from starlette.requests import Request

_ETAG = re.compile(r'(?:W/)?("[^"]*")')


def is_known(request: Request, etag: str) -> bool:
    """Tell whether the request's If-None-Match names ``etag``, so that the answer is 304."""
    condition = ", ".join(request.headers.getlist("if-none-match")).strip()
    return condition == "*" or etag in _ETAG.findall(condition)
