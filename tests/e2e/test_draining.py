"""An orderly stop finishes the requests in flight, then closes the sockets with a reason."""

from __future__ import annotations

import json
import signal
import socket
import struct
from collections.abc import Callable

from websocket import ABNF

from tests.support.live import LiveTrader, eventually
from tests.support.raw_http import RawConnection, post
from tests.support.raw_sockets import RawSocket
from tests.support.server import ServerProcess

GOING_AWAY = 1001
MARGIN = b'{"initial_margin":500000}'


def refuses_connections(server: ServerProcess) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), 1).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def close_code(connection: RawSocket) -> int:
    """Return the code with which the server closes a WebSocket."""
    try:
        while True:
            opcode, frame = connection.websocket.recv_data_frame(control_frame=True)
            if opcode == ABNF.OPCODE_CLOSE:
                return int(struct.unpack("!H", frame.data[:2])[0])
    finally:
        # Its close() leaves the connection open once the server has closed the WebSocket.
        connection.websocket.shutdown()


def test_requests_in_flight_end_before_sockets_and_polling_sessions_are_closed(
    make_server: Callable[..., ServerProcess], async_mode: str
) -> None:
    server = make_server(SOCKETIO_ASYNC_MODE=async_mode).start()
    trader = LiveTrader(server)
    headers = (
        f"Authorization: Bearer {trader.token}",
        f"Content-Length: {len(MARGIN)}",
        "Expect: 100-continue",
    )
    assert server.process is not None
    listening = RawSocket(server.url)
    polling = "/socket.io/?EIO=4&transport=polling"
    opening = json.loads(server.request("GET", polling).text[1:])
    with (
        RawConnection(server.port) as slow,
        RawConnection(server.port) as kept,
        RawConnection(server.port) as polled,
    ):
        # Not connected to Socket.IO, so nothing but the end can come.
        polled.send(f"GET {polling}&sid={opening['sid']} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert kept.send(b"GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n").answer().status == 200
        assert slow.send(post("/portfolio/create", *headers)).answer().status == 100

        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: refuses_connections(server))
        ready = kept.send(b"GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n").answer()
        created = slow.send(MARGIN).answer()

        assert close_code(listening) == GOING_AWAY
        last = polled.answer()
    # A packet without a meaning. A close packet, 1, would end Python's client for good.
    assert (last.status, last.body) == (200, b"6")
    assert (ready.status, ready.json()["checks"]["connections"]["reason"]) == (
        503,
        "the server is stopping",
    )
    assert created.status == 201
    assert created.json()["available_margin"] == 500_000
    assert created.headers["connection"] == "close"
    assert server.process.wait(10) == 0, server.output()
