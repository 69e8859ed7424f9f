"""kill -9 of the server in the middle of a corporate action: each trade is adjusted once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from app.domain.candle import IST
from tests.support.audit import Document, embedded_uri
from tests.support.live import LiveTrader, eventually
from tests.support.server import ServerProcess

SHARE = "RELIANCE.NS"
TRADES_OF_EACH = 5
# The server learns of an action within five seconds.
NOTICE = timedelta(seconds=7)
ADJUSTING_SECONDS = 60


@pytest.fixture
def server(make_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A server whose market divides its prices by the actions that are loaded."""
    mode = {"SOCKETIO_ASYNC_MODE": "threading"}
    return make_server(MARKET_DATA="simulated", MARKET_SEED="18", **mode).start()


@contextmanager
def database_of(server: ServerProcess) -> Iterator[Database[Document]]:
    uri = embedded_uri(server.folder / "data")
    # Its sessions end after the server is gone.
    with MongoClient[Document](uri, tz_aware=True, serverSelectionTimeoutMS=3_000) as client:
        yield client.paper_trading


def load_bonus(database: Database[Document]) -> None:
    """Load a bonus of one unit for each that takes effect in NOTICE from now."""
    opens_at = datetime.now(UTC) + NOTICE
    ex_date = opens_at.astimezone(IST).date().isoformat()
    database.corporate_actions.insert_one(
        {
            "_id": f"{SHARE} {ex_date} bonus",
            "symbol": SHARE,
            "ex_date": ex_date,
            "kind": "bonus",
            "ratio": {"new": 1, "old": 1},
            "amount": None,
            "pre_open": opens_at,
            "opens_at": opens_at,
            "source": "file",
            "loaded_at": datetime.now(UTC),
        }
    )
    database.corporate_actions.update_one({"_id": "version"}, {"$inc": {"loads": 1}}, upsert=True)


@contextmanager
def held(database: Database[Document], trader: LiveTrader) -> Iterator[None]:
    """Hold the portfolio of a user in a transaction, so that no other one can write it."""
    with database.client.start_session() as session:
        session.start_transaction()
        mine = {"user_id": trader.client_id}
        database.portfolios.update_one(mine, {"$set": {"held": True}}, session=session)
        yield
        # It is gone with the database, which nothing waits for.
        with suppress(PyMongoError), pymongo.timeout(0.1):
            session.abort_transaction()


def adjustments_of(database: Database[Document], trader: LiveTrader) -> list[int]:
    """Return how often each trade of a user is adjusted."""
    trades = database.trades.find({"user_id": trader.client_id})
    return [len(trade.get("adjustments", ())) for trade in trades]


def test_each_trade_is_adjusted_once_after_a_kill_between_two_batches(
    server: ServerProcess,
) -> None:
    traders = [LiveTrader(server) for _ in range(3)]
    # In the order in which batches are divided: the held one stands between the other two.
    first, last, second = sorted(traders, key=lambda trader: trader.client_id)
    for trader in traders:
        trader.open_portfolio()
    ids = [
        trader.create_trade(SHARE, quantity=10)["trade_id"]
        for _ in range(TRADES_OF_EACH)
        for trader in traders
    ]
    once, never = [1] * TRADES_OF_EACH, [0] * TRADES_OF_EACH

    with database_of(server) as database:
        load_bonus(database)
        with held(database, last):
            eventually(lambda: adjustments_of(database, first) == once, ADJUSTING_SECONDS)
            eventually(lambda: adjustments_of(database, second) == once, ADJUSTING_SECONDS)
            assert adjustments_of(database, last) == never
            server.kill()
    server.start()

    with database_of(server) as database:
        eventually(lambda: adjustments_of(database, last) == once, ADJUSTING_SECONDS)
        assert [adjustments_of(database, trader) for trader in traders] == [once] * 3
        events = database.notifications.find({"type": "trade_adjusted"})
        assert sorted(event["data"]["trade_id"] for event in events) == sorted(ids)
    for trader in traders:
        shown: list[dict[str, Any]] = trader.trades()
        assert {(trade["status"], trade["quantity"]) for trade in shown} == {("ACTIVE", 20)}
        portfolio = trader.portfolio()
        blocked = sum(trade["margin_used"] for trade in shown)
        assert portfolio["utilized_margin"] == pytest.approx(blocked)
