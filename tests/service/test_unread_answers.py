"""A client that does not read its answers is cut off, and nothing of it stays in memory."""

from __future__ import annotations

import gc
import socket
import time

from tests.fakes.listening import PATIENCE_S, App, Listening, wait_until


def test_a_client_that_never_reads_is_cut_off(app: App, quick: Listening) -> None:
    """Its answer, and its further requests, do not stay in memory for ever."""
    with quick.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        patience = time.monotonic() + PATIENCE_S
        while "/large" not in app.ended:
            assert time.monotonic() < patience, "the answer to nobody was never given up"
            time.sleep(0.02)
        while quick.server.server_state.connections:
            assert time.monotonic() < patience, "the connection is still there"
            time.sleep(0.02)


def test_a_client_that_reads_in_its_own_time_gets_all(quick: Listening) -> None:
    """Half a megabyte every twentieth of a second is more than the least."""
    with quick.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        came = 0
        while piece := client.socket.recv(2**19):
            came += len(piece)
            if came < 2**22:
                time.sleep(0.05)
        assert came > 2**25


def test_an_answer_that_nobody_fetches_does_not_hold_a_closing_connection(quick: Listening) -> None:
    """Closed by us while the client's buffers are full: it ends all the same."""
    with quick.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        patience = time.monotonic() + PATIENCE_S
        time.sleep(0.2)
        while quick.server.server_state.connections:
            assert time.monotonic() < patience
            time.sleep(0.02)


def test_requests_sent_far_ahead_are_bounded(quick: Listening) -> None:
    """A flood in one piece is not turned into as many waiting requests."""
    with quick.connect() as client:
        client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 5000)
        wait_until(lambda: not quick.server.server_state.connections)
    assert quick.server.server_state.total_requests < 400


def test_a_request_that_is_done_is_let_go_of_at_once(roomy: Listening) -> None:
    """No request keeps itself alive until the collector comes by, of which the service has few."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            with roomy.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1")
                time.sleep(0.01)
                client.send(b"2")
                assert client.answer().body == b"2"
        wait_until(lambda: not roomy.server.server_state.connections)
        time.sleep(0.05)
        kept = [thing for thing in gc.get_objects() if type(thing).__name__ == "RequestResponseCycle"]
        assert len(kept) < 5
    finally:
        gc.enable()
