"""The socket on which the service listens: opened by the supervisor, handed to each worker in turn.

While a worker is started anew the socket stays open, and clients who connect wait instead of being refused.
"""

from __future__ import annotations

import ctypes
import ipaddress
import logging
import socket
import struct

from service.errors import InvalidSettings

logger = logging.getLogger("forger")

_BACKLOG = 2048

# <linux/filter.h>: the program of one instruction that lets nothing through, and how to attach it.
_SO_ATTACH_FILTER = 26
_RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)


def open_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises ``InvalidSettings`` saying what is wrong with the address.

    ``host`` is an IP address or ``localhost``, ``port`` a number from 1 to 65535, or 0 for any that is free.
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise InvalidSettings(
            f"the host must be an IP address (127.0.0.1, or 0.0.0.0 for every interface), not {host!r}"
        ) from None
    if not 0 <= port <= 65535:
        raise InvalidSettings(f"the port must be a number from 1 to 65535, not {port}")
    listener = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((str(address), port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise InvalidSettings(
            f"cannot listen on {host}:{port} ({error.strerror}); try another port, as in PORT=3001 make serve"
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the address to type into a browser on this machine."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def refuse_newcomers(listener: socket.socket) -> None:
    """Let no further connection begin; those that are waiting to be accepted stay.

    The kernel resets whatever waits in a socket's queue when the socket is closed, although to its clients
    it is already connected. So nobody may join the queue any more before it is emptied for the last time:
    a filter drops what asks for a connection. Whoever asks then asks again a second later, and finds the port
    closed. Where there are no such filters the gap remains, of a millisecond.
    """
    program = ctypes.create_string_buffer(_RETURN_NOTHING)
    try:
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program))
        )
    except OSError as error:
        logger.info("connections that arrive just now may be reset: no socket filter (%s)", error)
