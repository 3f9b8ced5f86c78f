"""What one key may still ask for: requests, and images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from service.access.rates import Bucket, Rate
from service.errors import RateLimited

_NS = 1_000_000_000


@dataclass(frozen=True)
class Limits:
    """The rates of a key; None is no limit."""

    requests: Rate | None = None
    images: Rate | None = None

    def __bool__(self) -> bool:
        return self.requests is not None or self.images is not None


@dataclass(frozen=True)
class Standing:
    """How it stands with one limit: what is left, and in how many seconds there is more."""

    name: str
    rate: Rate
    left: int
    more_in_s: int


class Allowance:
    """The buckets of one key. For one thread: the event loop's."""

    def __init__(self, limits: Limits, clock: Callable[[], int]) -> None:
        """``clock`` returns nanoseconds and never goes back."""
        self.limits = limits
        self._clock = clock
        self._requests = None if limits.requests is None else Bucket(limits.requests)
        self._images = None if limits.images is None else Bucket(limits.images)

    @property
    def most_images(self) -> int | None:
        """How many images the key can have at once, at best; None is any number."""
        return None if self.limits.images is None else self.limits.images.quota

    def take_request(self) -> None:
        """Charge one request; raises ``RateLimited``."""
        if self._requests is not None:
            wait_ns = self._requests.take(1, self._clock())
            if wait_ns:
                raise _limited("requests", self.limits.requests, 1, wait_ns)

    def take_images(self, count: int) -> int:
        """Charge images, ``most_images`` at most; return when, for :meth:`give_back_images`.

        Raises ``RateLimited``.
        """
        now_ns = self._clock()
        if self._images is not None:
            wait_ns = self._images.take(count, now_ns)
            if wait_ns:
                raise _limited("images", self.limits.images, count, wait_ns)
        return now_ns

    def give_back_images(self, count: int, taken_ns: int) -> None:
        """Undo a charge of images, none of which were drawn."""
        if self._images is not None:
            self._images.give_back(count, taken_ns, self._clock())

    def standing(self) -> Iterator[Standing]:
        """Yield how it stands with each limit."""
        now_ns = self._clock()
        limits = self.limits
        for name, rate, bucket in (
            ("requests", limits.requests, self._requests),
            ("images", limits.images, self._images),
        ):
            if rate is not None and bucket is not None:
                left, more_in_ns = bucket.left(now_ns)
                yield Standing(name, rate, left, _seconds(more_in_ns))


def _limited(name: str, rate: Rate | None, amount: int, wait_ns: int) -> RateLimited:
    wait_s = _seconds(wait_ns)
    more = "1 more is" if amount == 1 else f"{amount} more are"
    return RateLimited(f"The limit of this key is {rate} ({name}); {more} possible in {wait_s} s.", wait_s)


def _seconds(ns: int) -> int:
    """Return whole seconds, rounded up: who waits that long has waited long enough."""
    return -(-ns // _NS)
