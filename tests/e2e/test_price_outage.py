"""If a real source hangs, reads return immediately, even with many open trades."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.fakes.yahoo import Failure, FakeYahoo
from tests.support.live import Listener, LiveTrader, eventually
from tests.support.server import ServerProcess

pytestmark = pytest.mark.timeout(120)

SHARES = ("RELIANCE", "TCS", "INFY", "HDFCBANK", "ICICIBANK", "SBIN", "ITC", "LT")
# One second for each share, one after another, is what must not happen.
DEADLINE_SECONDS = 4.0


def test_sixteen_trades_in_eight_shares_are_read_at_once(
    make_server: Callable[..., ServerProcess], async_mode: str
) -> None:
    with FakeYahoo(datetime.now(UTC)) as yahoo:
        for symbol in ("^NSEI", "^BSESN", *(f"{share}.NS" for share in SHARES)):
            yahoo.set_price(symbol, 100.0)
        server = make_server(
            SOCKETIO_ASYNC_MODE=async_mode,
            MARKET_DATA="yahoo",
            MARKET_HOURS="ignore",
            MONITOR_INTERVAL_SECONDS="0.5",
            YAHOO_ROOT_URL=yahoo.url,
        ).start()
        trader = LiveTrader(server)
        trader.open_portfolio()
        for share in (*SHARES, *SHARES):
            trader.create_trade(share)
        yahoo.failures["*"] = Failure(delay=60)
        eventually(lambda: {trade["stale"] for trade in trader.trades()} == {True}, timeout=30)

        started = time.monotonic()
        trades = trader.trades()
        performance = trader.get(f"/trades/performance/{trader.client_id}").json()
        with Listener(server, None) as listener:
            listener.call("subscribe", symbols=list(SHARES))
        assert time.monotonic() - started < DEADLINE_SECONDS

        assert {trade["last_price"] for trade in trades} == {100.0}
        assert {trade["price_time"] is None for trade in trades} == {False}
        assert (performance["stale"], performance["active_pnl"]) == (True, 0.0)
        assert len(performance["stale_symbols"]) == 8
