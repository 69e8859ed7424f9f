"""The application on what looks like MongoDB: which statements it sends, and by which indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from bson import ObjectId
from flask import Flask

from app import create_app
from app.delivery import Outbox
from app.domain.alert import AlertStatus
from app.domain.trade import TradeStatus
from app.extensions import mongo
from app.models import Alert, Notification, Trade
from app.monitor import Monitor
from app.monitor.retention import Limits, purge
from app.portfolio.reconciliation import find_differences
from config import Settings
from tests.mongodb.proxy import StrictProxy
from tests.mongodb.report import load_agreed
from tests.support.account_operations import ACCOUNT_OPERATIONS, NEW_PASSWORD
from tests.support.faults import recording_commands
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.operations import OPERATIONS
from tests.support.senders import CREDENTIALS, FakeSender
from tests.support.users import Trader, sign_up


@pytest.fixture
def app(
    proxy: StrictProxy,
    make_settings: Callable[..., Settings],
    feed: ScriptedFeed,
    clock: ManualClock,
) -> Iterator[Flask]:
    yield create_app(make_settings(**CREDENTIALS), mongo_uri=proxy.uri, feed=feed, clock=clock)
    assert mongo.cx is not None
    mongo.cx.drop_database(mongo.cx.get_default_database("paper_trading").name)
    mongo.cx.close()
    mongo.cx = mongo.db = None


@pytest.fixture
def trader(app: Flask) -> Trader:
    trader = sign_up(app.test_client())
    trader.open_portfolio()
    for _ in range(3):
        trader.create_trade()
    return trader


def test_no_operation_does_what_mongodb_refuses_or_what_is_not_agreed(
    app: Flask, proxy: StrictProxy, feed: ScriptedFeed, clock: ManualClock, trader: Trader
) -> None:
    trader.post("/market/alerts", {"symbol": "^NSEI", "above": 25_001})
    trader.create_trade(stop_loss=24_000, target_price=25_002)
    feed.tick("^NSEI", 25_003)
    assert Monitor(app).run_once().closed == 1
    for path in ("/trades/{}", "/trades/{}?status=ACTIVE", "/trades/performance/{}"):
        trader.get(path.format(trader.client_id))
    reports = (
        "/trades/statistics/{}",
        "/trades/{}/export.csv",
        "/trades/{}/export.csv?status=closed",
    )
    for path in (*reports, "/portfolio/{}/positions", "/portfolio/{}/history"):
        answer = trader.get(path.format(trader.client_id), buffered=True)
        assert answer.status_code == 200, answer.text
    trader.post(f"/trades/exit-all/{trader.client_id}")
    for operation in (*OPERATIONS, *ACCOUNT_OPERATIONS):
        assert operation(trader)().status_code < 300, operation.__name__
    while Outbox(app, clock, [FakeSender("email"), FakeSender("sms")]).run_once():
        pass
    trader.notifications()
    assert trader.get("/auth/me/export").status_code == 200
    with app.app_context():
        assert find_differences(trader.client_id) == []
        purge(trader.client_id, Limits(1, 1), clock.now(), apply=True)
        purge(trader.client_id, Limits(1, 1), clock.now(), apply=False)
        assert Alert.count_active(trader.client_id) == 1
        assert Notification.last_seq(trader.client_id, 1) > 1
        assert len(Notification.find_after(trader.client_id, 0, 2)) == 2
    body = {"password": NEW_PASSWORD}
    deleted = trader.client.delete("/auth/me", json=body, headers=trader.headers)
    assert deleted.status_code == 200

    assert not mongo.is_secantus
    assert proxy.report.problems(load_agreed()) == []


def test_a_page_is_one_find_that_the_index_sorts_and_the_limit_ends(
    app: Flask, trader: Trader
) -> None:
    portfolio_id = ObjectId(trader.portfolio()["portfolio_id"])
    with app.app_context(), recording_commands() as commands:
        found = Trade.find_by_user_id(
            trader.client_id,
            portfolio_id,
            status=TradeStatus.ACTIVE,
            symbol="^NSEI",
            below=1_000_000,
            limit=2,
        )
        Alert.find_by_user_id(trader.client_id, status=AlertStatus.ACTIVE, below=1_000_000, limit=2)
        Notification.find_by_user_id(trader.client_id, below=1_000_000, limit=2)

    assert [trade.number for trade in found] == [3, 2]
    pages = [(each["find"], each["sort"], each["limit"], each["hint"]) for each in commands]
    status = {"user_id": 1, "status": 1, "number": 1}
    assert pages == [
        ("trades", {"number": -1}, 2, {"user_id": 1, "portfolio_id": 1, "status": 1, "number": 1}),
        ("alerts", {"number": -1}, 2, status),
        ("notifications", {"seq": -1}, 2, {"user_id": 1, "seq": 1}),
    ]


def test_each_side_of_a_price_reads_its_own_index(app: Flask, trader: Trader) -> None:
    with app.app_context(), recording_commands() as commands:
        assert list(Trade.find_triggered("^NSEI", Decimal(1), Decimal(2))) == []

    assert [each["hint"] for each in commands] == [
        {"waiting": 1, "symbol": 1, "trigger_below": 1},
        {"waiting": 1, "symbol": 1, "trigger_above": 1},
    ]
