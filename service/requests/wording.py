"""How a sentence about a fault spells values and places of a JSON body, and the error that it becomes."""

from __future__ import annotations

import json
import math
from urllib.parse import quote

from service.errors import InvalidInput

ECHOED_CHARACTERS = 60
BEYOND_FLOAT = "a number beyond 1.8e308"
# What may stand in a URI's fragment as it is (RFC 3986, 3.5), beside letters, digits and "_.-~".
_FRAGMENT = "/?!$&'()*+,;=:@"

Location = tuple[int | str, ...]


def describe(value: object) -> str:
    """Return a short description of a JSON value for an error's sentence; never more than a line.

    Every value that a sentence echoes passes here, and is cut off at the same length.
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, float) and math.isinf(value):
        return BEYOND_FLOAT
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= ECHOED_CHARACTERS else text[:ECHOED_CHARACTERS] + "…"


def pointer(location: Location) -> str:
    """Return the JSON pointer of a place in the body, as a URI's fragment spells it (RFC 6901, 6)."""
    escaped = (str(part)[:200].replace("~", "~0").replace("/", "~1") for part in location)
    return "".join("/" + quote(part, safe=_FRAGMENT) for part in escaped)


def dotted(location: Location) -> str:
    """Return the name of a place in the body as sentences spell it: ``latents.0.z``."""
    return ".".join(str(part)[:ECHOED_CHARACTERS] for part in location)


def fault_at(location: Location, sentence: str) -> InvalidInput:
    """Return the error of one fault: the place as pointer and as the name that its sentence begins with."""
    return InvalidInput.at(pointer(location), f"{dotted(location)}: {sentence}")
