"""``python -m training``: the commands of this package."""

from __future__ import annotations

import sys

from training.interrupts import at_once

if __name__ == "__main__":
    with at_once():
        from training.cli import main
    sys.exit(main())
