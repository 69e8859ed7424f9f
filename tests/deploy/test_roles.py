"""Web processes serve, workers settle, and each says what is missing."""

from __future__ import annotations

import signal
from functools import partial
from typing import Any

import pytest
import requests

from tests.support.deployment import Deployment
from tests.support.live import Listener, LiveTrader, eventually
from tests.support.server import ServerProcess

pytestmark = pytest.mark.needs("redis-server")


def monitor_check(server: ServerProcess) -> tuple[int, dict[str, Any]]:
    response = server.request("GET", "/health/ready")
    return response.status_code, response.json()["checks"]["monitor"]


def test_requests_and_sockets_of_every_web_process_are_served(deployment: Deployment) -> None:
    trader = LiveTrader(deployment.webs[0])
    trader.open_portfolio()
    with Listener(deployment.webs[1], trader.token) as socket:
        assert socket.call("join", user_id=trader.client_id)["ok"]

        trader.create_trade()

        socket.wait_for_update(lambda update: update["event"] == "trade_created")
        socket.wait_for_price(lambda price: price["symbol"] == "^NSEI")


def test_every_web_process_serves_the_prices_of_the_leading_worker(
    deployment: Deployment,
) -> None:
    def prices(symbol: str) -> list[dict[str, float]]:
        """Return the price by time that each web process has shown."""
        shown: list[dict[str, float]] = [{}, {}]
        for _ in range(10):
            for quotes, web in zip(shown, deployment.webs, strict=True):
                quote = web.request("GET", f"/market/live/{symbol}").json()
                quotes[quote["timestamp"]] = quote["price"]
        return shown

    # Nobody polls the second one.
    for symbol in ("NIFTY", "TCS"):
        one, other = prices(symbol)
        assert one.keys() & other.keys()
        assert all(one[time] == other[time] for time in one.keys() & other.keys())


def test_a_chart_is_that_of_the_leading_worker(deployment: Deployment) -> None:
    def chart(web: ServerProcess, query: str = "interval=5m") -> requests.Response:
        return web.request("GET", f"/market/history/TCS?{query}")

    one, other = (chart(web).json()["candles"] for web in deployment.webs)
    common = {candle["time"] for candle in one[:-1]} & {candle["time"] for candle in other[:-1]}
    assert len(common) > 400
    for candles in (one, other):
        candles[:] = [candle for candle in candles if candle["time"] in common]
    assert one == other
    refused = chart(deployment.webs[0], "interval=1m&from=2026-01-02&to=2026-01-01")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_range")
    assert "from" in refused.json()["details"]


def opens_near_the_price(trader: LiveTrader) -> bool:
    """Order with a stop-loss that one of the next steps reaches, or has reached already."""
    return trader.order(stop_loss=round(trader.price() - 0.05, 2)).status_code == 201


def test_a_trade_of_each_web_process_is_settled_once_at_prices_of_the_worker(
    deployment: Deployment,
) -> None:
    traders = [LiveTrader(web) for web in deployment.webs]
    for trader in traders:
        trader.open_portfolio()
        for _ in range(3):
            eventually(partial(opens_near_the_price, trader))

    for trader in traders:
        eventually(
            lambda trader=trader: all(  # type: ignore[misc]
                trade["status"] == "STOP_LOSS_HIT" for trade in trader.trades()
            ),
            timeout=60,
        )
        events = trader.get("/notifications").json()["notifications"]
        assert [event["type"] for event in events].count("trade_auto_closed") == 3


def test_a_scenario_that_one_web_process_starts_moves_the_prices_of_every_worker(
    deployment: Deployment,
) -> None:
    trader, *others = (LiveTrader(web) for web in deployment.webs)
    trader.open_portfolio()
    # Of so many shares each worker polls some.
    symbols = ["NIFTY", "RELIANCE", "TCS", "INFY", "HDFCBANK", "ICICIBANK", "SBIN", "ITC"]
    before = {symbol: trader.price(symbol) for symbol in symbols}
    for symbol, price in before.items():
        trader.create_trade(symbol, stop_loss=int(price * 0.99))

    started = trader.post("/market/scenario", scenario="gap_down")
    assert started.status_code == 201, started.text
    again = others[0].post("/market/scenario", scenario="rally")

    assert (again.status_code, again.json()["code"]) == (409, "scenario_running")
    eventually(
        lambda: {trade["status"] for trade in trader.trades()} == {"STOP_LOSS_HIT"}, timeout=60
    )
    for web in (trader, *others):
        assert all(web.price(symbol) < 0.99 * before[symbol] for symbol in symbols)


def test_a_web_process_says_so_while_no_worker_lives(deployment: Deployment) -> None:
    web = deployment.webs[0]
    for worker in deployment.workers:
        assert worker.stop(signal.SIGTERM) == 0

    eventually(lambda: monitor_check(web)[0] == 503)
    check = monitor_check(web)[1]
    assert (check["status"], check["role"]) == ("unavailable", "web")
    assert "flask --app run worker" in check["reason"]

    for worker in deployment.workers:
        worker.start()
    eventually(lambda: monitor_check(web) == (200, {"status": "ok", "role": "web"}))


def test_the_limits_of_the_transport_hold_under_gunicorn(deployment: Deployment) -> None:
    web = deployment.webs[0]

    too_large = web.request("POST", "/auth/login", data=b"x" * 70_000)
    assert (too_large.status_code, too_large.json()["code"]) == (413, "body_too_large")
    missing = web.request("GET", "/nope")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    foreign = web.request("GET", "/market/symbols", headers={"Host": "evil.example"})
    assert (foreign.status_code, foreign.json()["code"]) == (400, "host_not_allowed")
    refused = web.request("GET", "/socket.io/?EIO=4&transport=websocket")
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")


def test_a_web_process_ends_in_order_and_comes_back(deployment: Deployment) -> None:
    web = deployment.webs[1]
    assert web.stop(signal.SIGTERM) == 0
    web.start()
    assert web.request("GET", "/health/live").status_code == 200
