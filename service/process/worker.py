"""The worker process: the BentoML application on a socket that the supervisor opened.

``python -m service.process.worker --listener FD --link FD``; only the supervisor calls it.
"""

from __future__ import annotations

import argparse
import socket

import uvicorn

from service.app import SETTINGS, Forger, running
from service.http.problems import Problem
from service.http.protocol import ConnectionLimits, guarded_protocol, within_descriptors
from service.logs import flush_logs
from service.process.server import DrainingServer

# Longer than clients and proxies keep an idle connection: they should be the ones who close it, since a
# request that crosses with our closing is lost.
_KEEP_ALIVE_S = 75


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description="A worker of the service; python -m service starts it.")
    parser.add_argument("--listener", type=int, required=True)
    parser.add_argument("--link", type=int, required=True)
    given = parser.parse_args()
    listener, link = socket.socket(fileno=given.listener), socket.socket(fileno=given.link)
    limits = within_descriptors(ConnectionLimits.of(SETTINGS))
    config = uvicorn.Config(
        Forger.to_asgi(),  # type: ignore[attr-defined]  # the decorator made it a Service
        http=guarded_protocol(limits, SETTINGS.root_path, _refused_at_the_door),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
    )
    grace_s = SETTINGS.grace_ms / 1000
    server = DrainingServer(config, door=lambda: running().runtime.door, grace_s=grace_s, link=link)
    server.run(sockets=[listener])
    flush_logs()


def _refused_at_the_door(problem: Problem, request_id: str) -> None:
    running().site.refused_at_the_door(problem, request_id)


if __name__ == "__main__":
    main()
