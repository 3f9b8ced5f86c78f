"""``make chaos``: training runs and the service under faults; ARGS may begin with the name of one."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_CAMPAIGNS = ("training", "serving")


def main(arguments: Sequence[str]) -> int:
    """Return 0 if nothing that was promised was broken."""
    named = arguments[0] if arguments and arguments[0] in _CAMPAIGNS else None
    # Options alone are those of training.
    chosen = [named] if named else ["training"] if arguments else _CAMPAIGNS
    return max(_carried_out(campaign, arguments[1:] if named else arguments) for campaign in chosen)


def _carried_out(campaign: str, arguments: Sequence[str]) -> int:
    # The one needs torch, and the other half a second less.
    if campaign == "training":
        from tests.chaos import training

        return training.main(arguments)
    from tests.chaos.serving import campaign as serving

    return serving.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
