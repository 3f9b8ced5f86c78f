"""Which scope a route asks for: the one table. A route that is not in it cannot be served."""

from __future__ import annotations

from functools import cache

from service.access.scopes import Scope

# By the first segment of the route's path. What is open is for probes, and for people who have no key yet.
_SCOPES: dict[str, Scope | None] = {
    "generate": Scope.GENERATE,
    "arithmetic": Scope.GENERATE,
    "interpolate": Scope.GENERATE,
    "images": Scope.GENERATE,
    "models": Scope.GENERATE,
    "admin": Scope.ADMIN,
    "metrics": Scope.METRICS,
    "": None,
    "livez": None,
    "healthz": None,
    "readyz": None,
    "openapi.json": None,
    "docs": None,
    "problems": None,
}


@cache
def scope_of(route: str) -> Scope | None:
    """Return the scope that a route's path (``/models/{name}``) asks for; None if it is open.

    Raises ``LookupError`` for a route that nobody has put into the table.
    """
    return _SCOPES[route.removeprefix("/").partition("/")[0]]
