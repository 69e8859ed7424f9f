"""`flask reconcile`: every corruption of a portfolio is found, shown, and repaired on request."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from operator import itemgetter
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from tests.support.database_state import all_documents, assert_invariants, documents
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection
from tests.support.users import Trader

Corrupt = Callable[[str], Any]


def portfolio(**change: Any) -> Corrupt:
    return lambda user_id: collection("portfolios").update_one({"user_id": user_id}, change)


def inbox(**change: Any) -> Corrupt:
    return lambda user_id: collection("inboxes").update_one({"_id": user_id}, change)


def inc(name: str, amount: Any) -> dict[str, Any]:
    return {"$inc": {name: amount}}


@pytest.fixture
def reconcile(app: Flask) -> Callable[..., Result]:
    runner = app.test_cli_runner()
    return lambda *options: runner.invoke(args=["reconcile", *options])


@pytest.fixture
def books(alice: Trader, bob: Trader, feed: ScriptedFeed, clock: ManualClock) -> None:
    """Create trades of two users: with profit, with loss, and open."""
    for trader in (alice, bob):
        for symbol in ("^NSEI", "RELIANCE.NS"):
            trader.create_trade(symbol=symbol, quantity=2)
        sold = trader.create_trade(trade_type="SELL").get_json()
        bought = trader.create_trade().get_json()
        clock.advance(60)
        feed.set("^NSEI", 25_010)
        for trade in (sold, bought):
            assert trader.post(f"/trades/exit/{trade['trade_id']}").status_code == 200
        clock.advance(60)
        feed.set("^NSEI", 25_000)


@pytest.mark.usefixtures("books")
def test_consistent_portfolios_are_reported(reconcile: Callable[..., Result]) -> None:
    before = all_documents()
    for options in ((), ("--repair",)):
        result = reconcile(*options)
        assert result.exit_code == 0
        assert result.stdout == "2 portfolios agree with their trades.\n"
        assert "Reconciling" in result.stderr
    assert all_documents() == before


def test_a_database_without_portfolios_is_consistent(reconcile: Callable[..., Result]) -> None:
    result = reconcile()
    assert (result.exit_code, result.stdout) == (0, "0 portfolios agree with their trades.\n")


CORRUPTIONS: list[tuple[str, Corrupt]] = [
    ("available_margin", portfolio(**inc("available_margin", Decimal("0.01")))),
    ("available_margin", portfolio(**inc("available_margin", Decimal("-100000")))),
    ("utilized_margin", portfolio(**inc("utilized_margin", Decimal("-0.01")))),
    ("total_pnl", portfolio(**inc("total_pnl", Decimal("0.01")))),
    ("deposits", portfolio(**inc("deposits", Decimal(10)))),
    ("withdrawals", portfolio(**inc("withdrawals", Decimal(10)))),
    ("trade_count", portfolio(**inc("trade_count", 1))),
    ("trade_count", portfolio(**inc("trade_count", -1))),
    ("closed_count", portfolio(**inc("closed_count", 1))),
    ("winner_count", portfolio(**inc("winner_count", -1))),
    ("exposure", portfolio(**inc("exposure.^NSEI.quantity", 1))),
    ("exposure", portfolio(**inc("exposure.^NSEI.cost", Decimal("0.01")))),
    ("exposure", portfolio(**inc("exposure.^BSESN.trades", 1))),
    ("exposure", portfolio(**{"$unset": {"exposure.RELIANCE:NS": ""}})),
    ("event_seq", inbox(**inc("event_seq", 1))),
    ("event_seq", inbox(**inc("event_seq", -1))),
]


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize(("field", "corrupt"), CORRUPTIONS)
def test_each_corruption_is_found_and_repaired_only_when_asked(
    alice: Trader, bob: Trader, reconcile: Callable[..., Result], field: str, corrupt: Corrupt
) -> None:
    sound = _books()
    corrupt(alice.client_id)
    corrupted = all_documents()

    found = reconcile()
    assert found.exit_code == 1
    assert _fields(found, alice) == [field]
    assert _fields(found, bob) == []
    assert "--repair" in found.stdout
    assert all_documents() == corrupted

    repaired = reconcile("--repair")
    assert repaired.exit_code == 1
    assert _fields(repaired, alice) == [field]
    assert "1 differences were repaired." in repaired.stdout
    assert reconcile().exit_code == 0
    assert _books() == sound
    assert_invariants(alice.client_id)


@pytest.mark.usefixtures("books")
def test_the_table_shows_stored_and_expected_values(
    alice: Trader, reconcile: Callable[..., Result]
) -> None:
    portfolio(**inc("total_pnl", Decimal("12.34")))(alice.client_id)

    heading, line, row, *_ = reconcile().stdout.splitlines()
    assert heading.split() == ["user", "portfolio", "field", "recorded", "recomputed"]
    assert re.fullmatch(r"[- ]+", line)
    assert row.split() == [alice.client_id, "default", "total_pnl", "12.34", "0.00"]


@pytest.mark.usefixtures("books")
def test_a_changed_trade_is_found_by_the_sums(
    alice: Trader, reconcile: Callable[..., Result]
) -> None:
    collection("trades").update_one(
        {"user_id": alice.client_id, "status": "CLOSED"}, inc("pnl", Decimal(5))
    )
    collection("trades").update_one(
        {"user_id": alice.client_id, "status": "ACTIVE"}, inc("margin_used", Decimal(5))
    )
    # The two changes of five rupees cancel out in the available margin.
    assert set(_fields(reconcile(), alice)) >= {"total_pnl", "utilized_margin"}


@pytest.mark.usefixtures("books")
def test_a_missing_trade_and_a_missing_event_are_found(
    alice: Trader, reconcile: Callable[..., Result]
) -> None:
    for name, number in (("trades", "number"), ("notifications", "seq")):
        newest = max(documents(name, user_id=alice.client_id), key=itemgetter(number))
        collection(name).delete_one({"_id": newest["_id"]})
    fields = _fields(reconcile(), alice)
    assert {"trade_count", "event_seq"} <= set(fields)


@pytest.mark.usefixtures("books")
def test_corruptions_of_several_users_are_found_and_repaired_together(
    alice: Trader, bob: Trader, reconcile: Callable[..., Result]
) -> None:
    for _, corrupt in CORRUPTIONS:
        corrupt(alice.client_id)
    portfolio(**inc("utilized_margin", Decimal(1)))(bob.client_id)

    found = reconcile("--repair")
    assert found.exit_code == 1
    assert len(_fields(found, alice)) > 3
    assert _fields(found, bob) == ["utilized_margin"]
    assert reconcile().exit_code == 0
    for trader in (alice, bob):
        assert_invariants(trader.client_id)
        assert trader.post(f"/trades/exit-all/{trader.client_id}").get_json()["count"] == 2
        assert trader.portfolio()["available_margin"] == 100_000.0


def _fields(result: Result, trader: Trader) -> list[str]:
    rows = [line.split() for line in result.stdout.splitlines()]
    return [row[2] for row in rows if row and row[0] == trader.client_id]


def _books() -> Any:
    documents = all_documents()
    for portfolio in documents["portfolios"]:
        portfolio["exposure"] = {
            key: sums for key, sums in portfolio["exposure"].items() if sums["trades"]
        }
    return documents
