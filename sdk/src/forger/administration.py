"""What an operator may ask of a service, as plans for both clients: to load, unload, pin and go back.

Every request that is made here may be sent again, as a client does when an answer is lost: a version that is
loaded, unloaded or pinned twice is so once.
"""

from __future__ import annotations

from forger import requests
from forger.core import Plan, one
from forger.errors import Misuse
from forger.models import Standing

_EXAMPLE = "mnist:2"


def standings() -> Plan[list[Standing]]:
    """Return how every version in the service's directory of models stands."""
    return one(requests.standings())


def reload() -> Plan[list[Standing]]:
    """Have the service look at its directory of models now."""
    return one(requests.reload())


def load(reference: str) -> Plan[Standing]:
    """Serve a version."""
    return one(requests.command("load", *_one_version(reference, "loaded")))


def unload(reference: str) -> Plan[Standing]:
    """Serve a version no more."""
    return one(requests.command("unload", *_one_version(reference, "unloaded")))


def pin(reference: str) -> Plan[Standing]:
    """Keep a version current, or the one that is."""
    return one(requests.command("pin", *_parsed(reference)))


def unpin(name: str) -> Plan[Standing]:
    """Let the highest version be current."""
    return one(requests.command("unpin", _bare(name, "unpinned")))


def rollback(name: str) -> Plan[Standing]:
    """Pin the highest version served below the current one.

    The service has a command for it, which goes back once more each time that it comes, and when an answer is
    lost nobody knows whether it came. So the version is found first, and then pinned by its number: that may
    be sent again. Nor do two operators go back twice who leave the same version at once.
    """
    bare = _bare(name, "taken back")
    listed: list[Standing] = yield requests.standings()
    served = [one for one in listed if one.name == bare and one.state == "served"]
    current = next((one.version for one in served if one.current), None)
    if current is None:
        raise Misuse(f"no version of {bare!r} is served: there is none to go back from")
    lower = [one.version for one in served if one.version < current]
    if not lower:
        raise Misuse(f"{bare}:{current} is the lowest version served: there is none to go back to")
    pinned: Standing = yield requests.command("pin", bare, str(max(lower)))
    return pinned


def _parsed(reference: str) -> tuple[str, str | None]:
    """Return the name and the version that ``name`` or ``name:version`` spells; raises ``Misuse``."""
    name, colon, version = reference.partition(":")
    if not name:
        raise Misuse(f"a model is named like mnist, its version like {_EXAMPLE}, not {reference!r}")
    if not colon:
        return name, None
    if not (version.isascii() and version.isdecimal()) or version.startswith("0"):
        raise Misuse(f"a version is a whole number, 1 or more, as in {_EXAMPLE}, not {version!r}")
    return name, version


def _one_version(reference: str, done: str) -> tuple[str, str]:
    name, version = _parsed(reference)
    if version is None:
        raise Misuse(f"a version is {done}, not a model: give it as in {_EXAMPLE}, not {reference!r}")
    return name, version


def _bare(reference: str, done: str) -> str:
    name, version = _parsed(reference)
    if version is not None:
        raise Misuse(f"a model is {done}, not a version: give the name alone, {name!r}, not {reference!r}")
    return name
