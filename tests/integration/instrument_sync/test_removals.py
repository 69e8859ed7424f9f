"""`flask instruments sync`: shares that the new list does not have."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from app.market_data.instruments.registry import Instruments, load_instruments
from app.market_data.instruments.sync import UNLISTED_RETENTION
from app.trades.endings import UnlistedEntries
from tests.fakes.scrip_master import ScripMasterServer
from tests.support.execution import fire_crossed
from tests.support.instrument_sync import Sync, listed
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.users import Trader


def test_a_removed_share_is_known_but_takes_no_new_trades(
    sync: Sync, server: ScripMasterServer, alice: Trader, feed: ScriptedFeed, client: FlaskClient
) -> None:
    server.serve(listed(1_100))
    sync()
    feed.set("SHARE1099.NS", 100)
    trade = alice.create_trade(symbol="SHARE1099").get_json()
    server.serve(listed(1_099))
    assert "1 removed" in sync().stdout

    assert client.get("/market/live/SHARE1099").status_code == 200
    assert client.get("/market/symbols?q=share1099").get_json()["symbols"] == []
    refusal = alice.create_trade(symbol="SHARE1099")
    assert refusal.status_code == 400
    assert refusal.get_json()["code"] == "unlisted_symbol"
    assert [found["trade_id"] for found in alice.trades("?symbol=SHARE1099")] == [trade["trade_id"]]
    assert alice.post(f"/trades/exit/{trade['trade_id']}").status_code == 200


def test_the_entries_of_a_removed_share_are_rejected_and_its_open_trades_stay(
    sync: Sync, known: Instruments, server: ScripMasterServer, alice: Trader, feed: ScriptedFeed
) -> None:
    server.serve(listed(1_100))
    sync()
    feed.set("SHARE1099.NS", 100)
    limit = {"symbol": "SHARE1099", "order_type": "LIMIT", "limit_price": 90}
    for _ in range(2):
        assert alice.create_trade(**limit).status_code == 201
    assert alice.create_trade(symbol="SHARE1099").status_code == 201
    entries = UnlistedEntries()
    entries.reject()
    assert len(alice.trades("?status=PENDING")) == 2

    server.serve(listed(1_099))
    sync()
    known.refresh(0)
    for _ in range(2):
        entries.reject()

    assert [trade["status"] for trade in alice.trades()] == ["ACTIVE", "REJECTED", "REJECTED"]
    rejected = [each for each in alice.notifications() if each["type"] == "trade_rejected"]
    assert [event["data"]["reason"] for event in rejected] == ["unlisted_symbol"] * 2
    assert alice.portfolio()["utilized_margin"] == 20.0


def test_a_removed_share_takes_no_new_alerts_and_existing_ones_fire(
    sync: Sync, app: Flask, server: ScripMasterServer, alice: Trader, feed: ScriptedFeed
) -> None:
    server.serve(listed(1_100))
    sync()
    feed.set("SHARE1099.NS", 100)
    levels = {"symbol": "SHARE1099", "above": 110}
    alert = alice.post("/market/alerts", levels).get_json()
    server.serve(listed(1_099))
    sync()

    details = assert_error(alice.post("/market/alerts", levels), 400, "unlisted_symbol")
    own = {"param": "symbol", "given": "SHARE1099"}
    assert details == {"symbol": "is no longer listed", **own}
    with app.app_context():
        assert fire_crossed([feed.set("SHARE1099.NS", 111)]) == 1
    (fired,) = alice.get("/market/alerts?symbol=SHARE1099").get_json()["alerts"]
    assert (fired["alert_id"], fired["status"]) == (alert["alert_id"], "TRIGGERED")


def test_a_removed_share_is_deleted_after_a_day_unless_it_has_open_trades(
    sync: Sync,
    known: Instruments,
    server: ScripMasterServer,
    alice: Trader,
    feed: ScriptedFeed,
    clock: ManualClock,
) -> None:
    server.serve(listed(1_100))
    sync()
    feed.set("SHARE1099.NS", 100)
    trade = alice.create_trade(symbol="SHARE1099").get_json()
    server.serve(listed(1_098))
    sync()
    clock.advance(UNLISTED_RETENTION.total_seconds() - 1)
    sync()
    assert known.find("SHARE1098") is not None
    clock.advance(1)

    assert "1 that are no longer listed stay known" in sync().stdout
    assert known.find("SHARE1098") is None
    assert known.get("SHARE1099").unlisted_at is not None

    feed.set("SHARE1099.NS", 100)
    alice.post(f"/trades/exit/{trade['trade_id']}")
    sync()
    assert known.find("SHARE1099") is None


def test_a_removed_share_stays_known_while_it_has_active_alerts(
    sync: Sync,
    known: Instruments,
    server: ScripMasterServer,
    alice: Trader,
    feed: ScriptedFeed,
    clock: ManualClock,
) -> None:
    server.serve(listed(1_100))
    sync()
    feed.set("SHARE1099.NS", 100)
    alert = alice.post("/market/alerts", {"symbol": "SHARE1099", "above": 110}).get_json()
    server.serve(listed(1_099))
    sync()
    clock.advance(UNLISTED_RETENTION.total_seconds())

    sync()
    assert known.get("SHARE1099").unlisted_at is not None

    path = f"/market/alerts/{alert['alert_id']}"
    assert alice.client.delete(path, headers=alice.headers).status_code == 200
    sync()
    assert known.find("SHARE1099") is None


def test_a_removed_share_can_be_listed_again(
    sync: Sync, known: Instruments, server: ScripMasterServer
) -> None:
    for count in (1_100, 1_099, 1_100):
        server.serve(listed(count))
        result = sync()

    assert "1 added, 0 changed, 0 removed" in result.stdout
    assert known.get("SHARE1099").is_listed


def test_shipped_instruments_stay_listed(
    sync: Sync, known: Instruments, server: ScripMasterServer
) -> None:
    sync()
    server.serve(listed())

    sync()

    assert known.get("RELIANCE").is_listed
    assert known.get("RELIANCE") == load_instruments().get("RELIANCE")
