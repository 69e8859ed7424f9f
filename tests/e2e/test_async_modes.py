"""Typical use of the server, in every async mode."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from app.domain.quote import Quote
from app.market_data.feeds.recording import read_recording
from app.market_data.instruments.registry import load_instruments
from tests.e2e.conftest import ASYNC_MODES
from tests.fakes.endpoint import Endpoint
from tests.support.live import Listener, LiveTrader, eventually
from tests.support.recording_files import falling_and_rising, write_recording
from tests.support.server import ServerProcess

NAGLE_STALL_SECONDS = 0.04
# A third of the default: ten of them still keep a core busy long enough.
SLOW_HASH = "scrypt:32768:8:1"


@pytest.fixture(scope="module", params=ASYNC_MODES)
def server(
    request: pytest.FixtureRequest,
    make_shared_server: Callable[..., ServerProcess],
    tmp_path_factory: pytest.TempPathFactory,
) -> ServerProcess:
    recording = write_recording(tmp_path_factory.mktemp("market") / "day.csv", falling_and_rising())
    mode = str(request.param)
    server = make_shared_server(
        mode,
        fresh=True,
        SOCKETIO_ASYNC_MODE=mode,
        MARKET_DATA="replay",
        REPLAY_FILE=recording,
        RECORD_FILE=tmp_path_factory.mktemp("recorded") / "market.csv.gz",
        # A slow hash, for the test of concurrent sign-ins.
        PASSWORD_HASH=SLOW_HASH,
        WEBHOOK_ALLOWED_HOSTS="localhost",
    )
    return server.start()


def test_the_ticks_of_the_replay_are_recorded(server: ServerProcess) -> None:
    path = Path(server.environment["RECORD_FILE"])

    def recorded() -> list[Quote]:
        files = path.parent.glob("*.csv.gz")
        return [tick for file in files for tick in read_recording(file, load_instruments()).ticks]

    ticks = eventually(recorded)
    nifty = [tick.price for tick in ticks if tick.symbol == "^NSEI"]
    assert nifty == [25_000 - number for number in range(len(nifty))]
    health = server.request("GET", "/health/ready").json()["checks"]["recorder"]
    assert (health["status"], health["lost"]) == ("ok", 0)
    assert health["ticks"] >= len(ticks)


def closes(trade_id: str, update: dict[str, Any]) -> bool:
    """Return whether the update says that the trade was closed automatically."""
    return bool(update["event"] == "trade_auto_closed" and update["data"]["trade_id"] == trade_id)


def wait_for_closure(socket: Listener, trade: dict[str, Any]) -> dict[str, Any]:
    """Return the data of the event that closes the trade."""
    update = socket.wait_for_update(partial(closes, trade["trade_id"]), timeout=5)
    data: dict[str, Any] = update["data"]
    return data


def test_a_webhook_receives_signed_events_in_order(server: ServerProcess) -> None:
    trader = LiveTrader(server)
    with Endpoint().open() as endpoint:
        url = f"http://localhost:{endpoint.port}/"
        created = server.request("POST", "/notifications/webhooks", trader.token, json={"url": url})
        hook = created.json()
        path = f"/notifications/webhooks/{hook['webhook_id']}/test"
        assert server.request("POST", path, trader.token).json()["status"] == "delivered"
        for text in ("one", "two", "three"):
            body = {"event": "reminder", "message": text}
            server.request("POST", "/notifications", trader.token, json=body)

        received = endpoint.wait_for(4)

    messages = [Webhook(hook["secret"]).verify(each.body, each.headers) for each in received]
    assert [message["seq"] for message in messages] == [None, 1, 2, 3]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_trade_is_closed_at_its_stop_loss_and_another_at_its_target(
    server: ServerProcess, transport: str
) -> None:
    trader = LiveTrader(server)
    opened = trader.open_portfolio(100_000)
    with Listener(server, trader.token, transport) as socket:
        assert socket.client.transport() == transport
        joined = socket.call("join", user_id=trader.client_id)
        assert joined == {"ok": True, "user_id": trader.client_id, "seq": 0}
        assert socket.call("subscribe", symbols=["reliance"])["symbols"] == ["RELIANCE.NS"]

        first = trader.price("NIFTY")
        assert socket.wait_for_price(lambda tick: tick["symbol"] == "^NSEI")["source"] == "replay"
        socket.wait_for_price(lambda tick: tick["symbol"] == "^NSEI" and tick["price"] < first)
        socket.wait_for_price(lambda tick: tick["symbol"] == "RELIANCE.NS")

        # Far enough from the price that the market does not pass it before the order arrives.
        stop = trader.price("NIFTY") - 30.5
        target = trader.price("RELIANCE") + 30.5
        loser = trader.create_trade("NIFTY", stop_loss=stop)
        winner = trader.create_trade("RELIANCE", target_price=target)
        stopped, hit = (wait_for_closure(socket, trade) for trade in (loser, winner))

    # The market moves a rupee a tick: the first tick beyond a level is half a rupee beyond. A
    # stop-loss exits at that tick, a target at its level.
    assert (stopped["reason"], stopped["exit_price"]) == ("stop_loss", stop - 0.5)
    assert (hit["reason"], hit["exit_price"]) == ("target", target)
    for data, tick in ((stopped, stop - 0.5), (hit, target + 0.5)):
        assert data["quote"]["source"] == "replay"
        assert data["quote"]["price"] == tick
    assert stopped["pnl"] == round(stopped["exit_price"] - loser["entry_price"], 2)
    assert [update["seq"] for update in socket.updates] == [1, 2, 3, 4]

    assert trader.trade(loser["trade_id"])["status"] == "STOP_LOSS_HIT"
    assert trader.trade(winner["trade_id"])["status"] == "TARGET_HIT"
    portfolio = trader.portfolio()
    assert portfolio["utilized_margin"] == 0
    assert portfolio["total_pnl"] == round(stopped["pnl"] + hit["pnl"], 2)
    assert portfolio["available_margin"] == opened["available_margin"] + portfolio["total_pnl"]


def test_of_50_orders_at_once_those_the_margin_covers_succeed(server: ServerProcess) -> None:
    trader = LiveTrader(server)
    trader.open_portfolio(10 * 16_000)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: trader.order("SENSEX"), range(50)))

    assert Counter(each.status_code for each in answers) == {201: 10, 400: 40}
    refused = [each.json() for each in answers if each.status_code == 400]
    assert {each["code"] for each in refused} == {"insufficient_margin"}
    portfolio = trader.portfolio()
    assert (portfolio["available_margin"], portfolio["utilized_margin"]) == (0, 160_000)
    assert len(trader.trades()) == 10


def test_of_20_exits_of_a_trade_at_once_one_succeeds(server: ServerProcess) -> None:
    trader = LiveTrader(server)
    trader.open_portfolio()
    trade_id = trader.create_trade("SENSEX")["trade_id"]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: trader.post(f"/trades/exit/{trade_id}"), range(20)))

    assert Counter(each.status_code for each in answers) == {200: 1, 409: 19}


def test_a_body_of_10_mb_is_answered_not_cut_off(server: ServerProcess) -> None:
    answer = server.request(
        "POST",
        "/auth/login",
        data=b'{"email": "' + b"x" * 10_000_000 + b'"}',
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"
    assert server.request("GET", "/health/live").status_code == 200


def test_a_kept_connection_is_answered_without_delay(server: ServerProcess) -> None:
    # If the server closes it after a response (werkzeug's does), the next request reopens it.
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    seconds = []
    for _ in range(50):
        started = time.perf_counter()
        connection.request("GET", "/health/live")
        assert connection.getresponse().read()
        seconds.append(time.perf_counter() - started)

    connection.close()
    # What Nagle's algorithm and delayed acknowledgements make of two small writes.
    assert statistics.median(seconds) < 0.9 * NAGLE_STALL_SECONDS


def test_ten_concurrent_sign_ins_delay_no_other_request(server: ServerProcess) -> None:
    trader = LiveTrader(server)
    done = threading.Event()
    answered = 0

    def ask_meanwhile() -> None:
        nonlocal answered
        while not done.is_set():
            assert server.request("GET", "/health/live").status_code == 200
            answered += not done.is_set()

    with ThreadPoolExecutor(11) as pool:
        asking = pool.submit(ask_meanwhile)
        eventually(lambda: answered > 0)
        answered = 0
        statuses = list(pool.map(lambda _: trader.sign_in().status_code, range(10)))
        meanwhile = answered
        done.set()
        asking.result()

    assert statuses == [200] * 10
    # Were a password hashed where requests are served, at most one response would fit between
    # two of them.
    assert meanwhile > 10


def test_a_user_hears_nothing_of_another(server: ServerProcess) -> None:
    alice, bob = LiveTrader(server), LiveTrader(server)
    alice.open_portfolio()
    with Listener(server, bob.token) as socket:
        refused = socket.call("join", user_id=alice.client_id)
        assert (refused["ok"], refused["code"]) == (False, "forbidden")
        assert socket.call("join", user_id=bob.client_id)["ok"]

        alice.create_trade("SENSEX")
        bob.post("/notifications", event="ping", message="Hello")

        socket.wait_for_update(lambda update: update["event"] == "ping")
        assert [update["event"] for update in socket.updates] == ["ping"]
