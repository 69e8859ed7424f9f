"""A client that never pauses: the others are served all the same."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable

import pytest

from tests.support.server import ServerProcess

REQUEST = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
# More than are answered while another asks once, on however fast a machine.
REQUESTS = 3_000
SECONDS = 60
ANSWER = b"HTTP/1.1 200"


def ask(connection: http.client.HTTPConnection) -> None:
    """Ask once, and wait for the answer."""
    connection.request("GET", "/health/live")
    answer = connection.getresponse()
    assert (answer.status, bool(answer.read())) == (200, True)


# Threads take turns by themselves.
@pytest.mark.parametrize("mode", ["eventlet", "gevent"])
def test_a_client_whose_next_request_is_always_there_holds_up_nobody(
    make_server: Callable[..., ServerProcess], mode: str
) -> None:
    server = make_server(mode, SOCKETIO_ASYNC_MODE=mode).start()
    answered = 0
    begun = threading.Event()

    def count() -> None:
        nonlocal answered
        last = b""
        while answered < REQUESTS:
            part = greedy.recv(65_536)
            # An answer's beginning may lie in two parts.
            answered += (last + part).count(ANSWER) - last.count(ANSWER)
            last = part[-len(ANSWER) :]
            begun.set()

    modest = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    with (
        contextlib.closing(modest),
        socket.create_connection(("127.0.0.1", server.port), SECONDS) as greedy,
    ):
        ask(modest)
        counting = threading.Thread(target=count)
        sending = threading.Thread(target=greedy.sendall, args=(REQUEST * REQUESTS,))
        counting.start()
        sending.start()
        assert begun.wait(SECONDS)

        ask(modest)
        meanwhile = answered

        sending.join(SECONDS)
        counting.join(SECONDS)
    assert answered == REQUESTS
    assert meanwhile < REQUESTS
