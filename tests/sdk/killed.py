"""The command ``forger`` in small segments, which kills itself with SIGKILL at a file operation: argument 1.

The operations are those that bring files to the disk, rename and remove them. 0 kills at none; then how many
there were is told on standard error.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from forger.bulk import job
from forger.cli.main import main

job._SEGMENT_IMAGES = 64
at = int(sys.argv[1])
done: list[str] = []


def counted(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
    def carry_out(*given: Any, **named: Any) -> Any:
        done.append(name)
        if len(done) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return operation(*given, **named)

    return carry_out


for name in ("fsync", "replace", "unlink", "rmdir"):
    setattr(os, name, counted(name, getattr(os, name)))
try:
    main(sys.argv[2:])
finally:
    sys.stderr.write(f"operations: {len(done)}\n")
