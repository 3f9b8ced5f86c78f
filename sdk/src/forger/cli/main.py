"""``forger``: one image or a million, from the shell."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from forger.cli.parser import parser
from forger.client import Client
from forger.errors import ForgerError


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry a command out, and end the process: 0 well, 1 not all could be done, 2 wrong use, 130 Ctrl-C."""
    given = parser().parse_args(arguments)
    try:
        with Client(given.url) as client:
            status = given.run(client, given)
    except ForgerError as error:
        print(f"forger: {error}", file=sys.stderr)
        status = 2 if isinstance(error, ValueError) else 1
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        sys.stderr.close()
        status = 1
    except OSError as error:
        print(f"forger: {error}", file=sys.stderr)
        status = 1
    sys.exit(status)
