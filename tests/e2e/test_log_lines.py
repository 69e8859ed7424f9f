"""Every line of the server's output is a log line, whatever clients send."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from dataclasses import astuple, dataclass

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.server import ServerProcess

NOT_HTTP = b"FOO\r\n\r\n"
BAD_LENGTH = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n"
NO_VERSION = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
)
BAD_PACKETS = ("9\x1b[31m", "49", "4\x1b[31m", "45999-[", '42["user=admin status=200\\r\\nx",1]')


def send_and_read(server: ServerProcess, request: bytes) -> None:
    """Send an invalid request, and read until the server closes the connection."""
    with socket.create_connection(("::1", server.port), timeout=10) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            continue


def send_bad_packets(server: ServerProcess) -> None:
    url = f"ws://[::1]:{server.port}/socket.io/?EIO=4&transport=websocket"
    for packet in BAD_PACKETS:
        with connect(url, close_timeout=0.2) as client, contextlib.suppress(ConnectionClosed):
            client.recv(timeout=10)
            client.send("40")
            client.recv(timeout=10)
            client.send(packet)


@dataclass(frozen=True)
class Setup:
    """How a server runs, and the address at which it does."""

    mode: str
    log_format: str
    host: str


# Each mode with both formats, and each spelling of an address in both formats.
SETUPS = [
    Setup("eventlet", "text", "::1"),
    Setup("gevent", "text", "::"),
    Setup("threading", "text", "[::1]"),
    Setup("eventlet", "json", "::"),
    Setup("gevent", "json", "[::1]"),
    Setup("threading", "json", "::1"),
]


@pytest.fixture(scope="module", params=SETUPS, ids=lambda setup: "-".join(astuple(setup)))
def setup(request: pytest.FixtureRequest) -> Setup:
    assert isinstance(request.param, Setup)
    return request.param


@pytest.fixture(scope="module")
def server(setup: Setup, make_shared_server: Callable[..., ServerProcess]) -> ServerProcess:
    server = make_shared_server(
        setup.mode + setup.log_format,
        fresh=True,
        SOCKETIO_ASYNC_MODE=setup.mode,
        LOG_FORMAT=setup.log_format,
        HOST=setup.host,
    )
    server.environment["LOG_FILE"] = str(server.folder / "file.log")
    server.url = f"http://[::1]:{server.port}"
    return server.start()


def test_the_banner_has_an_ipv6_address_in_brackets_and_ends_with_how_to_check_the_server(
    server: ServerProcess, setup: Setup
) -> None:
    listening = f"http://[{setup.host.strip('[]')}]:{server.port}"

    if setup.log_format == "text":
        banner, _, log = server.output().partition("\n\n20")
        assert f"listening on   {listening} " in banner
        assert f"curl '{server.url}/market/live/NIFTY'" in banner
        assert banner.splitlines()[-1].startswith("  Check:  ")
        assert banner.splitlines()[-1].endswith(" doctor")
        assert "Check" not in log
    else:
        first = json.loads(server.output().splitlines()[0])
        assert (first["message"], first["listening_on"]) == ("listening", listening)


def test_client_input_is_logged_as_one_printable_line_without_a_traceback(
    server: ServerProcess, setup: Setup
) -> None:
    for request in (NOT_HTTP, BAD_LENGTH, NO_VERSION):
        send_and_read(server, request)
    send_bad_packets(server)
    server.request("GET", "/x%0d%0a2026-11-27T02:20:08Z ERROR forged" + "%00" * 1000)
    server.stop()

    lines = (server.folder / "file.log").read_text().splitlines()
    assert lines
    assert "Traceback" not in server.output()
    if setup.log_format == "json":
        assert server.output().splitlines() == lines
        assert all(json.loads(line)["levelname"] for line in lines)
    for line in lines:
        assert line.isprintable()
        assert len(line) < 1500
        assert " ERROR   forged" not in line


def test_in_json_a_refusal_to_start_is_a_line_of_the_log(
    make_server: Callable[..., ServerProcess],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = make_server(LOG_FORMAT="json", PORT=port)
        assert refused.spawn().wait(15) == 2

    (line,) = refused.output().splitlines()
    assert json.loads(line)["message"] == "The configuration cannot be used"
    assert f"127.0.0.1:{port}" in json.loads(line)["offences"][0]
