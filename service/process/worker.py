"""The worker process: the BentoML application on a socket that the supervisor opened.

``python -m service.process.worker --listener FD --link FD --grace SECONDS``; only the supervisor calls it.
"""

from __future__ import annotations

import argparse
import socket

import uvicorn

from service.app import Forger, running
from service.process.server import DrainingServer

# Longer than clients and proxies keep an idle connection: they should be the ones who close it, since a
# request that crosses with our closing is lost.
_KEEP_ALIVE_S = 75


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description="A worker of the service; python -m service starts it.")
    parser.add_argument("--listener", type=int, required=True)
    parser.add_argument("--link", type=int, required=True)
    parser.add_argument("--grace", type=float, required=True)
    given = parser.parse_args()
    listener, link = socket.socket(fileno=given.listener), socket.socket(fileno=given.link)
    config = uvicorn.Config(
        Forger.to_asgi(),  # type: ignore[attr-defined]  # the decorator made it a Service
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
    )
    server = DrainingServer(config, door=lambda: running().runtime.door, grace_s=given.grace, link=link)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
