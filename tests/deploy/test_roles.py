"""Web processes serve, workers settle, and each says what is missing."""

from __future__ import annotations

import signal
from typing import Any

import pytest

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
