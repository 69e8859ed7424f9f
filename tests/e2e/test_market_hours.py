"""Market hours in every async mode, with the real calendar."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.live import LiveTrader
from tests.support.server import ServerProcess

ORDER = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}


def is_open(server: ServerProcess) -> bool:
    answer = server.request("GET", "/market/status")
    assert answer.status_code == 200, answer.text
    assert answer.json()["enforced"] is True
    return bool(answer.json()["open"])


def test_a_server_that_enforces_hours_trades_only_while_the_exchange_is_open(
    make_server: Callable[..., ServerProcess], async_mode: str
) -> None:
    variables = {"MARKET_HOURS": "enforce", "ORDERS_OUTSIDE_HOURS": "refuse"}
    server = make_server(SOCKETIO_ASYNC_MODE=async_mode, **variables).start()
    trader = LiveTrader(server)
    trader.open_portfolio()

    expected = None
    while expected is None or (expected == 201) is not is_open(server):
        # Again, should the exchange open or close between the question and the order.
        expected = 201 if is_open(server) else 409
        answer = server.request("POST", "/trades/create", trader.token, json=ORDER)

    assert answer.status_code == expected, answer.text
    if expected == 409:
        assert answer.json()["code"] == "market_closed"
        next_open = server.request("GET", "/market/status").json()["next_open"]
        assert answer.json()["details"]["next_open"] == next_open
    assert "Traceback" not in server.output()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_calendar_is_loaded_lazily_and_delays_nobody(
    make_server: Callable[..., ServerProcess], async_mode: str
) -> None:
    server = make_server(SOCKETIO_ASYNC_MODE=async_mode).start()
    assert server.process is not None
    libraries = Path(f"/proc/{server.process.pid}/maps")
    assert "pandas" not in libraries.read_text()

    served = 0
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.request, "GET", "/market/status")
        while not asked.done():
            assert server.request("GET", "/health/live").status_code == 200
            served += not asked.done()

    assert asked.result().json()["enforced"] is False
    assert "pandas" in libraries.read_text()
    assert served >= 3
