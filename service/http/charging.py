"""Images are charged to a request's key when it is known how many they are, before they are queued."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

from starlette.requests import Request

from service.access.allowance import Allowance
from service.errors import InputFault, InvalidInput, QueueFull, Refused, Unavailable
from service.http.exchange import exchange_of

_FREE = nullcontext()
_NOTHING_DRAWN = (Refused, QueueFull, Unavailable)


def charged(request: Request, count: int) -> AbstractContextManager[None]:
    """Return the block in which so many images are ordered.

    It raises ``RateLimited``, or ``InvalidInput`` for more than the key can ever have, and gives the charge
    back if the order is refused. Whatever becomes of an order that is taken, it has been charged.
    """
    allowance = exchange_of(request).allowance
    if allowance is None or allowance.most_images is None:
        return _FREE
    if count > allowance.most_images:
        raise InvalidInput([_too_many(request, count, allowance)])
    return _Charge(allowance, count)


class _Charge(AbstractContextManager[None]):
    def __init__(self, allowance: Allowance, count: int) -> None:
        self._allowance = allowance
        self._count = count

    def __enter__(self) -> None:
        self._taken_ns = self._allowance.take_images(self._count)

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(error, _NOTHING_DRAWN):
            self._allowance.give_back_images(self._count, self._taken_ns)


def _too_many(request: Request, count: int, allowance: Allowance) -> InputFault:
    """Return the fault of a request that would be refused for ever, however long its client waits."""
    sentence = (
        f"{count} images at once are more than the limit of this key, {allowance.limits.images}, "
        f"lets through; ask for {allowance.most_images} at most"
    )
    if request.method == "POST":
        return InputFault("#", sentence)
    return InputFault("name", sentence, kind="parameter")
