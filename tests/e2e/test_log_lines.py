"""Every line of the server's output is a log line, whatever clients send."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable

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
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            continue


def send_bad_packets(server: ServerProcess) -> None:
    url = f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket"
    for packet in BAD_PACKETS:
        with connect(url, close_timeout=0.2) as client, contextlib.suppress(ConnectionClosed):
            client.recv(timeout=10)
            client.send("40")
            client.recv(timeout=10)
            client.send(packet)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_client_input_is_logged_as_one_printable_line_without_a_traceback(
    make_server: Callable[..., ServerProcess], async_mode: str, log_format: str
) -> None:
    server = make_server(SOCKETIO_ASYNC_MODE=async_mode, LOG_FORMAT=log_format)
    log_file = server.folder / "file.log"
    server.environment["LOG_FILE"] = str(log_file)
    server.start()

    for request in (NOT_HTTP, BAD_LENGTH, NO_VERSION):
        send_and_read(server, request)
    send_bad_packets(server)
    server.request("GET", "/x%0d%0a2026-11-27T02:20:08Z ERROR forged" + "%00" * 1000)
    server.stop()

    lines = log_file.read_text().splitlines()
    assert lines
    assert "Traceback" not in server.output()
    if log_format == "json":
        assert server.output().splitlines() == lines
        assert all(json.loads(line)["levelname"] for line in lines)
    for line in lines:
        assert line.isprintable()
        assert len(line) < 1500
        assert " ERROR   forged" not in line


@pytest.mark.parametrize("host", ["::1", "::", "[::1]"])
def test_an_ipv6_address_is_served_and_printed_in_brackets(
    make_server: Callable[..., ServerProcess], async_mode: str, host: str
) -> None:
    server = make_server(HOST=host, SOCKETIO_ASYNC_MODE=async_mode)
    server.url = f"http://[::1]:{server.port}"
    server.start()

    assert f"listening on   http://[{host.strip('[]')}]:{server.port} " in server.output()
    assert f"curl '{server.url}/market/live/NIFTY'" in server.output()


def test_the_banner_ends_with_how_to_check_the_server(
    make_server: Callable[..., ServerProcess],
) -> None:
    banner, _, log = make_server().start().output().partition("\n\n20")

    assert banner.splitlines()[-1].startswith("  Check:  ")
    assert banner.splitlines()[-1].endswith(" doctor")
    assert "Check" not in log


def test_in_json_the_banner_and_a_refusal_are_lines_of_the_log(
    make_server: Callable[..., ServerProcess],
) -> None:
    server = make_server(LOG_FORMAT="json").start()
    first = json.loads(server.output().splitlines()[0])
    assert (first["message"], first["listening_on"]) == ("listening", server.url)

    refused = make_server("refused", LOG_FORMAT="json", PORT=server.port)
    assert refused.spawn().wait(15) == 2
    (line,) = refused.output().splitlines()
    assert json.loads(line)["message"] == "The configuration cannot be used"
    assert f"127.0.0.1:{server.port}" in json.loads(line)["offences"][0]
