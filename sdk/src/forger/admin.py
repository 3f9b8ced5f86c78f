"""The operator's commands as a client has them, ``client.admin``: one class that blocks, one that awaits."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, TypeVar

from forger import administration
from forger.core import Plan
from forger.models import Standing

T = TypeVar("T")


class CarryOut(Protocol):
    """The client's own way of carrying plans out."""

    def __call__(self, plan: Plan[T], /) -> T:
        """Carry a plan out, and return what came of it."""


class CarryOutAwaited(Protocol):
    """The same, to be awaited."""

    def __call__(self, plan: Plan[T], /) -> Awaitable[T]:
        """Carry a plan out, and return what came of it."""


class Admin:
    """What is served, and its change: for a key with the scope ``admin``, where the service asks for keys.

    >>> client.admin.rollback("mnist")

    What needs one version takes it as ``name:version``. Without the scope every method raises ``Forbidden``,
    of a service that asks for no keys ``UnknownRoute``.
    """

    def __init__(self, carry_out: CarryOut) -> None:
        self._carry_out = carry_out

    def models(self) -> list[Standing]:
        """Return how every version in the service's directory of models stands, by name and version."""
        return self._carry_out(administration.standings())

    def reload(self) -> list[Standing]:
        """Have the service look at the directory now, also at what it refused, and return how all stand."""
        return self._carry_out(administration.reload())

    def load(self, reference: str) -> Standing:
        """Serve a version, also one that was unloaded; raises ``UnusableModel``, which says why it cannot be.

        >>> client.admin.load("mnist:2").state
        'served'
        """
        return self._carry_out(administration.load(reference))

    def unload(self, reference: str) -> Standing:
        """Serve a version no more, until it is loaded; raises ``ModelConflict`` if it is needed."""
        return self._carry_out(administration.unload(reference))

    def pin(self, reference: str) -> Standing:
        """Keep a version current whatever comes; by the name alone, the one that is current."""
        return self._carry_out(administration.pin(reference))

    def unpin(self, name: str) -> Standing:
        """Let the highest version be current again, and return it."""
        return self._carry_out(administration.unpin(name))

    def rollback(self, name: str) -> Standing:
        """Pin the version served before the current one; raises ``Misuse`` if there is none.

        However often its requests are tried, one call goes back by one version, since that is found first and
        then pinned by its number. A second call would go back from there: after a ``ConnectionFailed``, look
        at :meth:`models`, or ``pin`` the version that is wanted.
        """
        return self._carry_out(administration.rollback(name))


class AsyncAdmin:
    """The same as :class:`Admin`, for code that awaits."""

    def __init__(self, carry_out: CarryOutAwaited) -> None:
        self._carry_out = carry_out

    async def models(self) -> list[Standing]:
        """Return how every version stands: see :meth:`Admin.models`."""
        return await self._carry_out(administration.standings())

    async def reload(self) -> list[Standing]:
        """Have the service look at its directory now: see :meth:`Admin.reload`."""
        return await self._carry_out(administration.reload())

    async def load(self, reference: str) -> Standing:
        """Serve a version: see :meth:`Admin.load`."""
        return await self._carry_out(administration.load(reference))

    async def unload(self, reference: str) -> Standing:
        """Serve a version no more: see :meth:`Admin.unload`."""
        return await self._carry_out(administration.unload(reference))

    async def pin(self, reference: str) -> Standing:
        """Keep a version current: see :meth:`Admin.pin`."""
        return await self._carry_out(administration.pin(reference))

    async def unpin(self, name: str) -> Standing:
        """Let the highest version be current again: see :meth:`Admin.unpin`."""
        return await self._carry_out(administration.unpin(name))

    async def rollback(self, name: str) -> Standing:
        """Pin the version served before the current one: see :meth:`Admin.rollback`."""
        return await self._carry_out(administration.rollback(name))
