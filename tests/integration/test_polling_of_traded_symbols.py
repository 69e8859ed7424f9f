"""Symbols are marked before a trade is written, and polled as long as it is open."""

from __future__ import annotations

import pytest
from flask import Flask

from app.market_data.polled_symbols import MARK_LIFETIME, MARK_REUSE
from app.models import SymbolState
from app.services import now, services
from tests.support.database_state import documents
from tests.support.faults import before_command, recording_commands
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection
from tests.support.responses import assert_error
from tests.support.users import Trader

SYMBOL = "RELIANCE.NS"

pytestmark = pytest.mark.usefixtures("app_context")


def mark_traded(symbol: str) -> None:
    services().polled_symbols.mark_traded(symbol, now())


def remove_old_marks() -> int:
    return services().polled_symbols.remove_old_marks(now())


def wait_an_hour(clock: ManualClock) -> None:
    clock.advance(MARK_LIFETIME.total_seconds())


def test_a_symbol_without_trades_is_polled_for_an_hour(clock: ManualClock) -> None:
    mark_traded(SYMBOL)
    assert remove_old_marks() == 0
    clock.advance(MARK_LIFETIME.total_seconds() - 1)
    assert remove_old_marks() == 0
    assert SymbolState.find_traded() == {SYMBOL}
    clock.advance(1)

    assert remove_old_marks() == 1
    assert SymbolState.find_traded() == set()


def test_the_last_quote_of_a_symbol_outlives_its_mark(
    clock: ManualClock, feed: ScriptedFeed
) -> None:
    mark_traded(SYMBOL)
    quote = feed.set(SYMBOL, 1_400)
    SymbolState.save_quotes([quote])
    wait_an_hour(clock)
    assert remove_old_marks() == 1

    assert SymbolState.load_quotes() == {SYMBOL: quote}
    (state,) = documents("symbols", _id=SYMBOL)
    assert set(state) == {"_id", "price", "source", "timestamp", "details"}


def test_a_symbol_with_an_active_trade_keeps_its_mark(
    clock: ManualClock, alice: Trader, feed: ScriptedFeed
) -> None:
    feed.set(SYMBOL, 1_400)
    trade = alice.create_trade(symbol=SYMBOL).get_json()
    for _ in range(3):
        wait_an_hour(clock)
        assert remove_old_marks() == 0
    feed.set(SYMBOL, 1_400)
    alice.post(f"/trades/exit/{trade['trade_id']}")

    assert remove_old_marks() == 0
    wait_an_hour(clock)
    assert remove_old_marks() == 1


def test_the_default_indices_keep_their_marks(clock: ManualClock) -> None:
    mark_traded("^NSEI")
    wait_an_hour(clock)

    with recording_commands() as commands:
        assert remove_old_marks() == 0

    # They have the most trades to search.
    assert not [command for command in commands if command.get("find") == "trades"]
    assert SymbolState.find_traded() == {"^NSEI"}


def test_a_mark_without_a_time_is_old(clock: ManualClock) -> None:
    # As written by earlier versions.
    collection("symbols").insert_one({"_id": SYMBOL, "traded": True})
    assert SymbolState.find_marks().traded == {SYMBOL}

    assert remove_old_marks() == 1
    assert SymbolState.find_traded() == set()


def test_a_new_mark_protects_a_trade_that_is_not_yet_committed(clock: ManualClock) -> None:
    mark_traded(SYMBOL)
    wait_an_hour(clock)
    # Another process is opening a trade.
    SymbolState.mark_traded(SYMBOL, clock.now())

    assert remove_old_marks() == 0
    assert SymbolState.find_traded() == {SYMBOL}


def test_a_mark_made_after_the_search_for_trades_is_kept(clock: ManualClock) -> None:
    mark_traded(SYMBOL)
    wait_an_hour(clock)

    def mark() -> None:
        SymbolState.mark_traded(SYMBOL, clock.now())

    with before_command("update", "symbols", mark):
        assert remove_old_marks() == 0

    assert SymbolState.find_traded() == {SYMBOL}


def test_trades_reuse_a_mark_for_ten_minutes(
    alice: Trader, clock: ManualClock, feed: ScriptedFeed
) -> None:
    feed.set(SYMBOL, 1_400)
    alice.create_trade(symbol=SYMBOL)
    collection("symbols").delete_many({})
    clock.advance(MARK_REUSE.total_seconds() - 1)
    feed.set(SYMBOL, 1_400)
    alice.create_trade(symbol=SYMBOL)
    assert SymbolState.find_traded() == set()
    clock.advance(1)

    feed.set(SYMBOL, 1_400)
    alice.create_trade(symbol=SYMBOL)
    assert SymbolState.find_traded() == {SYMBOL}


def test_a_mark_from_before_the_clock_was_set_back_is_not_reused(clock: ManualClock) -> None:
    mark_traded(SYMBOL)
    collection("symbols").delete_many({})
    clock.set_back(1)

    mark_traded(SYMBOL)
    assert SymbolState.find_traded() == {SYMBOL}


def test_a_symbol_marked_while_the_database_is_read_stays(clock: ManualClock) -> None:
    polled = services().polled_symbols
    for symbol in ("OLD.NS", "NEW.NS"):
        if symbol == "NEW.NS":
            polled.begin_refresh()
        polled.mark_traded(symbol, clock.now())
        polled.mark_alerted(symbol, clock.now())

    polled.refresh(traded={"KNOWN.NS"}, alerted={"KNOWN.NS"}, followed=set())
    assert polled.traded == polled.alerted == {"KNOWN.NS", "NEW.NS"}

    polled.begin_refresh()
    polled.refresh(traded={"KNOWN.NS"}, alerted={"KNOWN.NS"}, followed=set())
    assert polled.traded == polled.alerted == {"KNOWN.NS"}


def test_a_trade_that_takes_longer_to_write_than_a_mark_lasts_is_refused(
    alice: Trader, clock: ManualClock, feed: ScriptedFeed
) -> None:
    feed.set(SYMBOL, 1_400)

    def suspend() -> None:
        """Suspend the process until the mark is removed."""
        wait_an_hour(clock)
        assert remove_old_marks() == 1

    with before_command("insert", "trades", suspend):
        assert_error(alice.create_trade(symbol=SYMBOL), 503, "database_unavailable")

    assert alice.trades() == []


def test_a_trade_whose_symbol_is_marked_long_after_its_bounds_are_widened_is_refused(
    alice: Trader, clock: ManualClock, feed: ScriptedFeed
) -> None:
    feed.set(SYMBOL, 1_400)

    # The mark has the time of the beginning of the pause: it may be removed at once.
    with before_command("update", "symbols", lambda: wait_an_hour(clock)):
        assert_error(alice.create_trade(symbol=SYMBOL), 503, "database_unavailable")

    assert alice.trades() == []


def test_two_processes_that_remove_marks_remove_each_once(clock: ManualClock) -> None:
    mark_traded(SYMBOL)
    wait_an_hour(clock)

    assert remove_old_marks() + remove_old_marks() == 1


def test_a_new_trade_has_its_symbol_polled_at_once(alice: Trader, app_context: Flask) -> None:
    alice.create_trade(symbol=SYMBOL)

    assert SYMBOL in services().polled_symbols.symbols()
