"""The client of Forger: draws images from a service, one or a million.

>>> from forger import Client, L
>>> with Client("http://localhost:3000") as client:
...     client.generate(16, seed=42, class_label="three").grid().save("threes.png")

What stands here is the whole public surface; everything else may change.
"""

from __future__ import annotations

from forger import errors
from forger.async_client import AsyncClient
from forger.bulk.run import Report
from forger.bulk.verify import Verified, verify
from forger.client import Client
from forger.errors import (
    BadAnswer,
    ChangedJob,
    ChangedModel,
    ConnectionFailed,
    ForgerError,
    Misuse,
    Problem,
    TimedOut,
)
from forger.latents import L, Sum
from forger.models import Model, Standing
from forger.recipes import Replay, recipe_in
from forger.results import Drawn, Item, Label, Origin, Walk
from forger.retries import NEVER, Retries
from forger.version import VERSION

__version__ = VERSION

__all__ = [
    "NEVER",
    "AsyncClient",
    "BadAnswer",
    "ChangedJob",
    "ChangedModel",
    "Client",
    "ConnectionFailed",
    "Drawn",
    "ForgerError",
    "Item",
    "L",
    "Label",
    "Misuse",
    "Model",
    "Origin",
    "Problem",
    "Replay",
    "Report",
    "Retries",
    "Standing",
    "Sum",
    "TimedOut",
    "Verified",
    "Walk",
    "errors",
    "recipe_in",
    "verify",
]
