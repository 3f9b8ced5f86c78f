"""A process of many clients, each of whom asks for one row; when it is killed, all have left at once."""

from __future__ import annotations

import socket
import sys
import time

from tests.chaos.serving.stage import draw


def main(port: int, clients: int) -> None:
    """Ask over a connection for each client, and never read an answer."""
    crowd = []
    for number in range(clients):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(draw("slow", number, 1).wire)
        crowd.append(connection)
    time.sleep(60)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
