"""Invalid WebSocket handshakes, and the close code of each protocol violation."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from typing import Any

import pytest
import websocket
from websocket import ABNF

from app.transport.sessions import MAX_UNCONNECTED
from tests.support.live import eventually
from tests.support.raw_http import RawConnection
from tests.support.raw_sockets import RawSocket
from tests.support.server import ServerProcess

PATH = "/socket.io/?EIO=4&transport=websocket"
GOOD = {
    "Host": "127.0.0.1",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
LIMIT = 64 * 1024


def handshake(path: str = PATH, method: str = "GET", **changes: str | None) -> bytes:
    """Return a handshake; a header that is None is left out."""
    headers = {**GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines]).encode() + b"\r\n\r\n"


BAD = {
    "no version": handshake(Sec_WebSocket_Version=None),
    "an old version": handshake(Sec_WebSocket_Version="8"),
    "no key": handshake(Sec_WebSocket_Key=None),
    "a short key": handshake(Sec_WebSocket_Key="AAAA"),
    "a key that is no base64": handshake(Sec_WebSocket_Key="!" * 24),
    "no Connection header": handshake(Connection=None),
    "another method": handshake(method="POST"),
    "an unknown session": handshake(f"{PATH}&sid=unknown"),
    "an unknown transport": handshake("/socket.io/?EIO=4&transport=pigeon"),
    "an old protocol": handshake("/socket.io/?EIO=3&transport=websocket"),
    "no upgrade": handshake(Upgrade=None, Connection=None),
}


@pytest.mark.parametrize("request_", BAD.values(), ids=BAD.keys())
def test_a_bad_handshake_is_400_in_our_shape(server: ServerProcess, request_: bytes) -> None:
    with RawConnection(server.port) as connection:
        answer = connection.send(request_).answer()

    assert answer.status == 400, answer
    assert set(answer.json()) == {"error", "code", "details", "request_id"}
    assert "Traceback" not in server.output()


@pytest.mark.parametrize(
    "extension",
    ["permessage-deflate", "permessage-deflate; server_max_window_bits=abc", "unknown, ,;="],
)
def test_no_extension_is_agreed_on(server: ServerProcess, extension: str) -> None:
    request = handshake(Sec_WebSocket_Extensions=extension)
    with RawConnection(server.port) as connection:
        answer = connection.send(request).answer()

    assert answer.status == 101
    assert answer.headers["sec-websocket-accept"] == "ICX+Yqv66kxgM0FcWaLWlFLwTAI="
    assert "sec-websocket-extensions" not in answer.headers


def closed_with(client: RawSocket) -> int:
    """Return the code of the server's close frame."""
    try:
        while True:
            opcode, frame = client.websocket.recv_data_frame(control_frame=True)
            if opcode == ABNF.OPCODE_CLOSE:
                return int(struct.unpack("!H", frame.data[:2])[0])
    finally:
        client.websocket.shutdown()


def raw(payload: bytes, opcode: int, *, final: int = 1, reserved: int = 0) -> bytes:
    frame: Any = ABNF(final, reserved, 0, 0, opcode, 1, payload)
    formatted: bytes = frame.format()
    return formatted


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (raw(b"x", ABNF.OPCODE_BINARY), 1003),
        (raw(b"4" * (LIMIT + 1), ABNF.OPCODE_TEXT), 1009),
        (raw(b"4" * 40_000, ABNF.OPCODE_TEXT, final=0) + raw(b"x" * 40_000, 0), 1009),
        (raw(b"\xff\xfe", ABNF.OPCODE_TEXT), 1007),
        (raw(b"4", ABNF.OPCODE_TEXT, reserved=1), 1002),
        (raw(b"9", ABNF.OPCODE_TEXT), 1002),
        (raw(b"", ABNF.OPCODE_TEXT), 1002),
        (raw(b"49", ABNF.OPCODE_TEXT), 1002),
        (raw(b"42{", ABNF.OPCODE_TEXT), 1008),
        (raw(b"p", ABNF.OPCODE_PING) * 1_500, 1008),
        (b"\x81\x05hello", 1002),
    ],
    ids=[
        "binary",
        "too long",
        "too long in fragments",
        "no UTF-8",
        "a reserved bit",
        "an unknown Engine.IO type",
        "nothing",
        "an unknown Socket.IO type",
        "no JSON",
        "too many pings",
        "unmasked",
    ],
)
def test_a_violation_closes_the_socket_with_its_code(
    server: ServerProcess, sent: bytes, code: int
) -> None:
    client = RawSocket(server.url)
    client.send_bytes(sent)

    assert closed_with(client) == code


def test_a_socket_without_a_connect_packet_is_closed(server: ServerProcess) -> None:
    assert closed_with(RawSocket(server.url, connects=False)) == 1008


def test_a_message_of_the_limit_in_fragments_is_taken(server: ServerProcess) -> None:
    start = b'427["leave",{"user_id":"'
    text = start + b"x" * (LIMIT - len(start) - 3) + b'"}]'
    client = RawSocket(server.url)
    parts = [text[place : place + 9_000] for place in range(0, LIMIT, 9_000)]
    for number, part in enumerate(parts):
        opcode = ABNF.OPCODE_TEXT if number == 0 else ABNF.OPCODE_CONT
        final = int(number == len(parts) - 1)
        client.send_bytes(raw(part, opcode, final=final))

    assert client.wait_for("437[").startswith("437[")
    client.websocket.close()


def test_a_ping_is_answered(server: ServerProcess) -> None:
    client: websocket.WebSocket = RawSocket(server.url).websocket
    client.ping("are you there")
    opcode, frame = client.recv_data_frame(control_frame=True)
    while opcode != ABNF.OPCODE_PONG:
        opcode, frame = client.recv_data_frame(control_frame=True)

    assert frame.data == b"are you there"
    client.close()


def test_an_address_may_have_few_sockets_that_do_not_connect(server: ServerProcess) -> None:
    with ExitStack() as stack:
        statuses = []
        for _ in range(MAX_UNCONNECTED + 5):
            connection = stack.enter_context(RawConnection(server.port))
            statuses.append(connection.send(handshake()).answer().status)

    assert statuses[0] == 101
    assert statuses.count(429) > 0
    assert set(statuses) == {101, 429}

    # The tests that follow on this server open sockets from the same address.
    eventually(lambda: may_open_a_socket(server))


def may_open_a_socket(server: ServerProcess) -> bool:
    with RawConnection(server.port) as connection:
        return connection.send(handshake()).answer().status == 101
