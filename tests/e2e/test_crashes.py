"""kill -9 of the server, its database or both loses nothing acknowledged."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from tests.support.live import Listener, LiveTrader, eventually, is_running
from tests.support.recording_files import OPENING, standing_still, write_recording
from tests.support.server import ServerProcess

STOP_LOSS = 24_500


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_recording(tmp_path / "day.csv", standing_still(25_000))


@pytest.fixture
def server(make_server: Callable[..., ServerProcess], recording: Path) -> ServerProcess:
    return make_server(MARKET_DATA="replay", REPLAY_FILE=recording).start()


def database_pid(server: ServerProcess) -> int:
    return int(json.loads((server.folder / "data" / "database.json").read_text())["database_pid"])


@contextmanager
def orders_under_way(trader: LiveTrader, acknowledged: list[str]) -> Iterator[None]:
    """Send orders from several threads until the server is gone; keep the acknowledged ones."""
    stopping = False

    def order() -> None:
        while not stopping:
            try:
                answer = trader.order(stop_loss=STOP_LOSS)
            except requests.RequestException:
                return
            if answer.status_code == 201:
                acknowledged.append(answer.json()["trade_id"])
            else:
                assert answer.status_code == 503, answer.text

    with ThreadPoolExecutor(4) as pool:
        orders = [pool.submit(order) for _ in range(4)]
        eventually(lambda: len(acknowledged) > 20)
        yield
        stopping = True
    for each in orders:
        each.result()


def assert_books_hold(trader: LiveTrader, acknowledged: list[str]) -> None:
    trades = trader.trades()
    assert set(acknowledged) <= {trade["trade_id"] for trade in trades}
    portfolio = trader.portfolio()
    in_use = [trade["margin_used"] for trade in trades if trade["status"] == "ACTIVE"]
    realized = [trade["pnl"] for trade in trades if trade["pnl"] is not None]
    assert portfolio["utilized_margin"] == sum(in_use)
    assert portfolio["total_pnl"] == sum(realized)
    worth = portfolio["available_margin"] + portfolio["utilized_margin"]
    assert worth == portfolio["initial_margin"] + portfolio["total_pnl"]


def test_after_a_kill_of_the_server_all_is_there_and_trades_still_close(
    server: ServerProcess, recording: Path
) -> None:
    trader = LiveTrader(server)
    trader.open_portfolio()
    database = database_pid(server)
    acknowledged: list[str] = []
    with orders_under_way(trader, acknowledged):
        server.kill()
    # It goes with the server.
    eventually(lambda: not is_running(database), timeout=5)

    server.start()

    assert_books_hold(trader, acknowledged)
    assert all(trade["status"] == "ACTIVE" for trade in trader.trades())
    trade_id = acknowledged[0]
    trader.post(f"/trades/exit/{acknowledged[1]}")
    server.kill()

    # The market falls overnight, while the server is down.
    next_day = OPENING + timedelta(days=1)
    write_recording(recording, standing_still(STOP_LOSS - 100), opening=next_day)
    server.start()

    eventually(lambda: trader.trade(trade_id)["status"] != "ACTIVE")
    closed = trader.trade(trade_id)
    assert (closed["status"], closed["exit_price"]) == ("STOP_LOSS_HIT", STOP_LOSS - 100)
    eventually(lambda: all(trade["status"] != "ACTIVE" for trade in trader.trades()))
    assert trader.trade(acknowledged[1])["status"] == "CLOSED"
    assert_books_hold(trader, acknowledged)
    with Listener(server, trader.token) as socket:
        seq = socket.call("join", user_id=trader.client_id, since=0)["seq"]
        eventually(lambda: len(socket.updates) >= seq)
        assert [update["seq"] for update in socket.updates] == list(range(1, seq + 1))


def test_after_a_kill_of_the_database_requests_work_again_by_themselves(
    make_server: Callable[..., ServerProcess], async_mode: str, recording: Path
) -> None:
    server = make_server(
        SOCKETIO_ASYNC_MODE=async_mode, MARKET_DATA="replay", REPLAY_FILE=recording
    ).start()
    trader = LiveTrader(server)
    trader.open_portfolio()
    killed = database_pid(server)
    acknowledged: list[str] = []
    with orders_under_way(trader, acknowledged):
        before = len(acknowledged)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: not is_running(killed))
        eventually(lambda: len(acknowledged) > before + 10)

    assert_books_hold(trader, acknowledged)
    assert database_pid(server) != killed
    # The monitor is ready once a pass has succeeded.
    eventually(lambda: server.request("GET", "/health/ready").ok)
    assert "Traceback" not in server.output()


def test_after_a_kill_of_both_the_next_start_works_at_once(server: ServerProcess) -> None:
    trader = LiveTrader(server)
    trader.open_portfolio()
    acknowledged: list[str] = []
    with orders_under_way(trader, acknowledged):
        os.kill(database_pid(server), signal.SIGKILL)
        server.kill()

    server.start()

    assert_books_hold(trader, acknowledged)
    trader.create_trade()
