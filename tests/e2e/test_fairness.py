"""A client that never pauses does not delay the others."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable

import pytest
import websocket
from websocket import ABNF

from tests.support.raw_sockets import send_bytes
from tests.support.server import ServerProcess

REQUEST = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
# More than are answered while another asks once, on however fast a machine.
REQUESTS = 3_000
# Fewer than a socket may send in one burst.
MESSAGES = 900
# While so many of them are answered, a client that keeps asking is answered as well; not once
# if the messages are read as long as there are any.
FIRST, SEVERAL = 800, 5
SECONDS = 60
ANSWER = b"HTTP/1.1 200"


def ask(connection: http.client.HTTPConnection) -> None:
    """Ask once, and wait for the response."""
    connection.request("GET", "/health/live")
    answer = connection.getresponse()
    assert (answer.status, bool(answer.read())) == (200, True)


# Threads take turns by themselves.
@pytest.fixture(scope="module", params=["eventlet", "gevent"])
def server(
    request: pytest.FixtureRequest, make_shared_server: Callable[..., ServerProcess]
) -> ServerProcess:
    mode = str(request.param)
    return make_shared_server(mode, SOCKETIO_ASYNC_MODE=mode).start()


def test_a_client_that_never_pauses_delays_nobody(server: ServerProcess) -> None:
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


def test_a_socket_that_never_pauses_delays_nobody(server: ServerProcess) -> None:
    frames = [
        ABNF.create_frame(f'42{number}["leave",{{"user_id":"me"}}]', ABNF.OPCODE_TEXT).format()
        for number in range(MESSAGES)
    ]
    acknowledged: list[str] = []

    def count() -> None:
        while len(acknowledged) < MESSAGES:
            message = str(greedy.recv())
            if message.startswith("43"):
                acknowledged.append(message)

    modest = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    address = f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket"
    greedy = websocket.create_connection(address, SECONDS)
    with contextlib.closing(modest), contextlib.closing(greedy):
        greedy.send("40")
        counting = threading.Thread(target=count)
        sending = threading.Thread(target=send_bytes, args=(greedy, b"".join(frames)))
        counting.start()
        sending.start()

        answers = 0
        while len(acknowledged) < FIRST:
            ask(modest)
            answers += 1

        sending.join(SECONDS)
        counting.join(SECONDS)
    assert answers >= SEVERAL
    # One after the other, as they were sent.
    assert acknowledged == [f'43{n}[{{"ok":true,"user_id":"me"}}]' for n in range(MESSAGES)]
