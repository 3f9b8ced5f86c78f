"""API keys: who may draw, when the operator has set any.

Source: RFC 6750 (bearer tokens). Health, metrics, the documentation and the help pages stay open: they
are for probes, scrapers and people who do not have a key yet.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from service.errors import Unauthorized
from service.http.headers import RequestHeaders

_PROTECTED = ("/generate", "/arithmetic", "/interpolate", "/images", "/models", "/admin")


class ApiKeys:
    """The keys of one setting; with none of them everything is open."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode("ascii") for key in keys]

    def check(self, route: str, headers: RequestHeaders) -> None:
        """Raise ``Unauthorized`` unless the route is open or the request brings a key."""
        if not self._keys or not route.startswith(_PROTECTED):
            return
        given = headers.all(b"authorization")
        if not given:
            raise Unauthorized("This service asks for a key: send Authorization: Bearer KEY.")
        scheme, _, key = given[0].partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer":
            raise Unauthorized("Authorization must be given once, as Bearer KEY.", invalid=True)
        # Every key is compared, each in constant time: how long it takes tells nothing of any.
        token = key.strip().encode("utf-8")
        matches = [hmac.compare_digest(token, known) for known in self._keys]
        if not any(matches):
            raise Unauthorized("The key is not one of this service's.", invalid=True)
