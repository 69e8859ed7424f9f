"""Ctrl-C and `kill` end the server within seconds, in order, without a remaining process."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest
import requests

from tests.support.live import Listener, LiveTrader, eventually, is_running
from tests.support.server import ServerProcess


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_within_three_seconds(
    make_server: Callable[..., ServerProcess], async_mode: str, number: signal.Signals
) -> None:
    server = make_server(fresh=True, SOCKETIO_ASYNC_MODE=async_mode).start()
    record = server.folder / "data" / "database.json"
    database = json.loads(record.read_text())["database_pid"]
    assert is_running(database)
    trader = LiveTrader(server)
    # Clients of every kind are connected; none delays the stop.
    with requests.Session() as session, Listener(server, trader.token) as socket:
        session.get(f"{server.url}/health/live", timeout=5)
        polling = Listener(server, None, "polling")
        socket.wait_for_price(lambda tick: tick["symbol"] == "^NSEI")

        status = server.stop(number, timeout=3)
        polling.client.disconnect()

    assert status == 0, server.output()
    assert "Traceback" not in server.output()
    assert "Exception" not in server.output()
    eventually(lambda: not is_running(database), timeout=2)
    assert not record.exists()


def test_a_signal_while_it_starts_ends_it_too(
    make_server: Callable[..., ServerProcess], async_mode: str
) -> None:
    server = make_server(SOCKETIO_ASYNC_MODE=async_mode)
    process = server.spawn()
    record = server.folder / "data" / "database.json"
    database = json.loads(eventually(lambda: record.read_text() if record.exists() else ""))

    process.send_signal(signal.SIGTERM)
    process.wait(3)

    eventually(lambda: not is_running(database["database_pid"]), timeout=2)
    assert "Traceback" not in server.output()
