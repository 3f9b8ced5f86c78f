"""``make chaos``: training runs, the service, and its models under faults; ARGS may begin with one's name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

_CAMPAIGNS = {
    "training": "tests.chaos.training",
    "serving": "tests.chaos.serving.campaign",
    "models": "tests.chaos.files",
    "swaps": "tests.chaos.swaps",
}


def main(arguments: Sequence[str]) -> int:
    """Return 0 if nothing that was promised was broken."""
    named = arguments[0] if arguments and arguments[0] in _CAMPAIGNS else None
    # Options alone are those of training.
    chosen = [named] if named else ["training"] if arguments else list(_CAMPAIGNS)
    return max(_carried_out(campaign, arguments[1:] if named else arguments) for campaign in chosen)


def _carried_out(campaign: str, arguments: Sequence[str]) -> int:
    # Only one of them needs torch.
    status: int = import_module(_CAMPAIGNS[campaign]).main(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
