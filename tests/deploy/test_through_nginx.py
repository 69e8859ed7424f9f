"""Clients of every kind, through nginx, on two web processes and two workers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser

from tests.support.browser import REST, SOCKET, chromium, sites
from tests.support.deployment import Deployment
from tests.support.live import Listener, LiveTrader
from tests.support.nginx import Nginx
from tests.support.postman import COLLECTION, run_collection
from tests.support.server import ROOT

pytestmark = [
    pytest.mark.needs("nginx"),
    pytest.mark.needs("openssl"),
    pytest.mark.needs("redis-server"),
]
SOCKETS = 6


@pytest.fixture(scope="module")
def origins() -> Iterator[list[str]]:
    with sites(1) as origins:
        yield origins


@pytest.fixture(scope="module")
def deployment_variables(origins: list[str]) -> dict[str, Any]:
    return {"CORS_ORIGINS": origins[0], "TRUSTED_PROXIES": 1}


@pytest.fixture
def trader(gateway: Nginx) -> LiveTrader:
    trader = LiveTrader(gateway)
    trader.open_portfolio()
    return trader


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_a_user_registers_trades_and_reads(gateway: Nginx, trader: LiveTrader) -> None:
    trade = trader.create_trade(quantity=2)
    assert trader.trade(trade["trade_id"])["status"] == "ACTIVE"
    exited = trader.post(f"/trades/exit/{trade['trade_id']}")
    assert exited.status_code == 200
    assert trader.portfolio()["utilized_margin"] == 0
    events = trader.get("/notifications").json()["notifications"]
    assert [event["type"] for event in events] == ["trade_exited", "trade_created"]

    missing = gateway.request("GET", "/nope")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert missing.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    assert missing.headers["X-Request-ID"] == missing.json()["request_id"]


def test_both_processes_serve_and_the_log_names_the_address_of_the_client(
    gateway: Nginx, deployment: Deployment
) -> None:
    guess = {"email": "nobody@example.com", "password": "a guess"}
    for _ in range(8):
        headers = {"X-Forwarded-For": "192.0.2.66"}
        assert gateway.request("POST", "/auth/login", json=guess, headers=headers).status_code in (
            401,
            429,
        )

    for web in deployment.webs:
        assert "sign-in failed" in web.output()
        assert "192.0.2.66" not in web.output()


@pytest.mark.needs("node", package="nodejs")
def test_the_collection_is_green(gateway: Nginx, tmp_path: Path) -> None:
    process, stats = run_collection(gateway.url, tmp_path, ca=gateway.certificate)

    assert process.returncode == 0, process.stdout + process.stderr
    assert stats["requests"]["failed"] == 0
    assert stats["requests"]["total"] >= len(json.loads(COLLECTION.read_text())["item"])


@pytest.mark.needs("node", package="nodejs")
def test_the_node_client_shows_prices_and_events(gateway: Nginx, trader: LiveTrader) -> None:
    signed_in = ("--email", trader.email, "--password", trader.password)
    command = ["node", ROOT / "examples" / "client.js", "--url", gateway.url, *signed_in]
    with subprocess.Popen(
        [*command, "--exit-after", "2"], stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout is not None
        lines = iter(client.stdout.readline, "")
        shown = list(takewhile(lambda line: not line.startswith("connected"), lines))
        trade = trader.create_trade()
        trader.post(f"/trades/exit/{trade['trade_id']}")
        shown += lines

    assert client.returncode == 0
    assert any(line.startswith("live_price    ^NSEI ") for line in shown)
    updates = [line.split()[1:3] for line in shown if line.startswith("trade_update")]
    assert updates == [["#1", "trade_created"], ["#2", "trade_exited"]]


@pytest.mark.needs("chromium")
def test_a_page_in_a_browser_uses_the_api_and_its_sockets(
    gateway: Nginx, browser: Browser, origins: list[str]
) -> None:
    trader = LiveTrader(gateway)
    page = browser.new_page(ignore_https_errors=True)
    page.goto(origins[0])
    path = f"/portfolio/{trader.client_id}"
    shown = page.evaluate(REST, {"url": gateway.url, "path": path, "token": trader.token})
    received = page.evaluate(
        SOCKET, {"url": gateway.url, "token": trader.token, "userId": trader.client_id}
    )

    assert shown["statuses"] == [201, 200]
    assert received["joined"]["ok"] is True
    assert received["price"]["source"] == "mock"


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_sockets_of_one_address_are_spread_and_each_receives_every_event_in_order(
    gateway: Nginx, deployment: Deployment, trader: LiveTrader, transport: str
) -> None:
    ports = {str(web.port) for web in deployment.webs}
    with ExitStack() as stops:
        listeners = [
            stops.enter_context(Listener(gateway, trader.token, transport)) for _ in range(SOCKETS)
        ]
        for listener in listeners:
            assert listener.call("join", user_id=trader.client_id)["ok"]
        for _ in range(10):
            trader.create_trade()

        for listener in listeners:
            listener.wait_for_update(lambda update: update["seq"] == 10)
            assert [update["seq"] for update in listener.updates] == list(range(1, 11))
            listener.wait_for_price(lambda price: price["symbol"] == "^NSEI")
        routes = {str(each.client.eio.sid).partition(".")[0] for each in listeners}
        assert routes == ports


@pytest.mark.needs("node", package="nodejs")
def test_sessions_that_begin_by_polling_are_upgraded_in_their_process(
    gateway: Nginx, trader: LiveTrader
) -> None:
    clients = subprocess.run(
        ["node", ROOT / "tests" / "support" / "upgrade.cjs", gateway.url, trader.token, "6"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert clients.stderr == ""
    assert json.loads(clients.stdout) == ["websocket"] * 6


def test_the_session_of_another_process_is_told_to_connect_again(
    gateway: Nginx, deployment: Deployment
) -> None:
    for web in deployment.webs:
        path = f"/socket.io/?EIO=4&transport=polling&sid={web.port}.AAAAAAAAAAAAAAAAAAAA"
        answer = gateway.request("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_plain_http_reaches_no_process(gateway: Nginx) -> None:
    answer = requests.get(
        f"http://127.0.0.1:{gateway.http_port}/health/live", timeout=10, allow_redirects=False
    )
    assert answer.status_code == 308
