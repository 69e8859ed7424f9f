"""Forbidden events and their errors, in every async mode."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from app.market_data.instruments.registry import shipped_instruments
from tests.support.live import LiveTrader, eventually
from tests.support.raw_sockets import RawPolling, RawSocket
from tests.support.server import ROOT, ServerProcess

NAMES = [each.symbol for each in shipped_instruments() if each.symbol not in ("TCS.NS", "INFY.NS")]


@pytest.mark.needs("node", package="nodejs")
def test_a_client_without_token_and_acknowledgement_sees_why_its_join_is_refused(
    server: ServerProcess,
) -> None:
    script = ROOT / "tests" / "support" / "join.cjs"
    client = subprocess.run(
        ["node", script, server.url, "user123"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    status = json.loads(client.stdout)
    assert status["code"] == "unauthorized"
    assert "token" in status["msg"]
    assert "socket event join refused, unauthorized" in server.output()


def test_events_by_reserved_names_are_unknown(server: ServerProcess) -> None:
    socket = RawSocket(server.url, LiveTrader(server).token)
    assert socket.call("subscribe", {"symbols": ["TCS", "INFY"]})["ok"] is True
    for name in ("connect", "disconnect", "connect_error", "*"):
        assert socket.call(name, {})["code"] == "unknown_event"
    # Its symbols are still counted as its own.
    refused = socket.call("subscribe", {"symbols": NAMES[:99]})
    assert refused["code"] == "too_many_symbols"
    assert "follows 2," in refused["error"]
    assert socket.call("subscribe", {"symbols": NAMES[:98]})["ok"] is True
    socket.close()


def test_a_session_that_never_connects_to_socket_io_is_closed(server: ServerProcess) -> None:
    websocket = RawSocket(server.url, connects=False)
    polling = RawPolling(server.url)
    begun = time.monotonic()

    assert websocket.is_closed_by_the_server()
    eventually(lambda: polling.post("3").status_code == 400, timeout=15)

    assert time.monotonic() - begun < 15
    websocket.close()


@pytest.mark.parametrize("frame", ['45999999999-["subscribe"]', "9", "42[{}]"])
def test_a_packet_that_no_client_sends_ends_its_session_without_a_trace(
    server: ServerProcess, frame: str
) -> None:
    socket, polling = RawSocket(server.url), RawPolling(server.url)
    polling.post("40")
    size = server.log.stat().st_size

    socket.send(frame)
    assert polling.post(frame).status_code == 400

    assert socket.is_closed_by_the_server()
    assert polling.get().status_code == 400
    assert "Traceback" not in server.output()
    assert server.log.stat().st_size - size < 5_000
    socket.close()
