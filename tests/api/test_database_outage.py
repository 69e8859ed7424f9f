"""Without its database the server responds 503 with Retry-After; it neither hangs nor crashes."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import create_app
from app.extensions import mongo
from app.web.auth import issue_token
from config import Settings
from embedded_db.supervisor import EmbeddedDatabase
from tests.support.concurrency import run_concurrently
from tests.support.factories import assert_portfolio_balances
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.users import Trader, registration, sign_up


@pytest.fixture
def database(tmp_path: Path) -> Iterator[EmbeddedDatabase]:
    """A database of the test's own, to be killed."""
    embedded = EmbeddedDatabase(tmp_path / "own")
    embedded.start()
    yield embedded
    if mongo.cx is not None:
        mongo.cx.close()
        mongo.cx = mongo.db = None
    embedded.stop()


@pytest.fixture
def app(
    database: EmbeddedDatabase,
    make_settings: Callable[..., Settings],
    feed: ScriptedFeed,
    clock: ManualClock,
) -> Flask:
    return create_app(make_settings(), mongo_uri=database.uri, feed=feed, clock=clock)


def test_every_route_responds_503_during_an_outage_and_recovers_with_the_database(
    app: Flask, database: EmbeddedDatabase, tmp_path: Path
) -> None:
    trader = sign_up(app.test_client())
    trader.open_portfolio()
    trade_id = trader.create_trade().get_json()["trade_id"]

    os.kill(
        json.loads((tmp_path / "own/database.json").read_text())["database_pid"], signal.SIGKILL
    )
    for answer in run_concurrently(_requests(app, trader, trade_id)):
        assert_error(answer, 503, "database_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert "mongo" not in answer.text.lower()
    _assert_the_rest_still_works(trader)

    watcher = threading.Thread(target=database.watch, daemon=True)
    watcher.start()
    # The driver waits for the server to be there, so the first request already finds it.
    assert [trade["trade_id"] for trade in trader.trades()] == [trade_id]
    assert trader.post(f"/trades/exit/{trade_id}").status_code == 200
    assert_portfolio_balances(trader.client_id)


def _requests(app: Flask, trader: Trader, trade_id: str) -> list[Callable[[], TestResponse]]:
    with app.app_context():
        # Transactions of one user wait for each other, so each of these has its own.
        tokens = [trader.token, *(issue_token(f"deleted{n}") for n in range(5))]

    def call(method: str, path: str, body: object = None, user: int = 0) -> TestResponse:
        headers = {"Authorization": f"Bearer {tokens[user]}"}
        return app.test_client().open(path, method=method, json=body, headers=headers)

    me = trader.client_id
    order = {"symbol": "NIFTY", "trade_type": "BUY", "quantity": 1}
    return [
        partial(call, "POST", "/auth/register", registration()),
        partial(call, "POST", "/auth/login", {"email": me, "password": "whatever"}),
        partial(call, "POST", "/portfolio/create", {}),
        partial(call, "GET", f"/portfolio/{me}"),
        partial(call, "POST", "/trades/create", order, user=1),
        partial(call, "POST", f"/trades/exit/{trade_id}"),
        partial(call, "POST", f"/trades/exit-all/{me}"),
        partial(call, "GET", f"/trades/{me}"),
        partial(call, "GET", f"/trades/performance/{me}"),
        partial(call, "POST", "/market/alerts", {"symbol": "NIFTY", "above": 30_000}, user=4),
        partial(call, "GET", "/market/alerts"),
        partial(call, "DELETE", f"/market/alerts/{trade_id}", user=5),
        partial(call, "POST", "/notifications", {"event": "note", "message": "Hello"}, user=2),
        partial(call, "GET", "/notifications"),
        partial(call, "PUT", f"/notifications/{trade_id}/read", user=3),
    ]


def _assert_the_rest_still_works(trader: Trader) -> None:
    client = trader.client
    for path in ("/market/live/NIFTY", "/market/symbols", "/health/live", "/docs"):
        assert client.get(path).status_code == 200
    # Whether the session of a token has ended is in the database.
    assert_error(trader.get("/portfolio/another-user"), 503, "database_unavailable")
    assert_error(client.post("/auth/login", json={}), 400, "validation_error")
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.get_json()["status"] == "unavailable"
    assert ready.get_json()["checks"]["database"]["status"] == "unavailable"
    assert ready.get_json()["checks"]["market_data"]["status"] == "ok"
