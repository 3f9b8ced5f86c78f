"""A service with this on its PYTHONPATH leaks at each request: a test of memory must see it."""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_LEAKED: list[bytes] = []
_BYTES = int(os.environ["SIEGE_LEAK_BYTES"])
_MODULE = "service.http.edge"


class _Leaky(importlib.abc.Loader):
    """Loads the edge as it is, and then makes it forget nothing."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        whole = module.Edge.__call__

        async def leaking(self: Any, scope: Any, receive: Any, send: Any) -> None:
            _LEAKED.append(os.urandom(_BYTES))
            await whole(self, scope, receive, send)

        module.Edge.__call__ = leaking


class _Finder(importlib.abc.MetaPathFinder):
    """Steps aside for every other module."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        spec.loader = _Leaky(spec.loader)
        return spec


sys.meta_path.insert(0, _Finder())
