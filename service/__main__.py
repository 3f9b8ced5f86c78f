"""``python -m service``: serve the models, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys

from service.errors import InvalidSettings
from service.logs import configure_logging, flush_logs
from service.models.decisions import share_with_workers
from service.process.listener import open_listener, url_of
from service.process.supervisor import Supervisor
from service.settings import load_settings

logger = logging.getLogger("forger")

_HINT = """
Forger serves on {url}. Draw a seven:

  curl -s {url}/generate -H 'Accept: image/png' -d '{{"class_label": 7, "seed": 1}}' > seven.png
"""


def main() -> None:
    """Check the settings, open the socket, and supervise a worker."""
    parser = argparse.ArgumentParser(prog="python -m service", description=__doc__)
    parser.add_argument(
        "--host",
        default=os.environ.get("HOST", "127.0.0.1"),
        help="IP address to listen on (HOST, or 127.0.0.1)",
    )
    parser.add_argument("--port", default=os.environ.get("PORT", "3000"), help="port to listen on (or PORT)")
    given = parser.parse_args()
    try:
        settings = load_settings(os.environ)
        configure_logging(settings)
        listener = open_listener(given.host, _port(given.port))
    except InvalidSettings as error:
        sys.exit(f"forger: {error}")
    url = url_of(listener)
    share_with_workers(settings.state_file)

    def announce() -> None:
        logger.info("serving on %s", url, extra={"event": "serving"})
        if sys.stdout.isatty():
            print(_HINT.format(url=url), flush=True)

    async def supervise() -> int:
        supervisor = Supervisor(listener, settings.grace_ms / 1000, on_ready=announce)
        return await supervisor.run()

    status = asyncio.run(supervise())
    flush_logs()
    sys.exit(status)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise InvalidSettings(f"the port must be a number from 1 to 65535, not {text!r}")
    return int(text)


if __name__ == "__main__":
    main()
