"""What is watched for trades: marked before a trade is there, and not for ever."""

from __future__ import annotations

import pytest
from flask import Flask

from app.database import collection
from app.market_data.polled_symbols import MARK_SECONDS, PolledSymbols
from app.models import SymbolState, Trade
from app.services import services
from app.trades.watching import IDLE_SECONDS, IdleSymbols, watch
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.users import Trader

SYMBOL = "RELIANCE.NS"


@pytest.fixture
def idle(books: Flask, clock: ManualClock) -> IdleSymbols:
    return IdleSymbols(clock)


def wait_an_hour(clock: ManualClock) -> None:
    clock.advance(IDLE_SECONDS)


def test_a_symbol_that_nobody_trades_any_more_is_watched_for_an_hour_and_then_not(
    idle: IdleSymbols, clock: ManualClock
) -> None:
    watch(SYMBOL)
    assert idle.prune() == 0
    clock.advance(IDLE_SECONDS - 1)
    assert not idle.is_due
    assert idle.prune() == 0
    assert SymbolState.find_traded() == {SYMBOL}
    clock.advance(1)

    assert idle.prune() == 1
    assert SymbolState.find_traded() == set()


def test_what_is_known_of_an_idle_symbol_besides_stays(
    idle: IdleSymbols, clock: ManualClock, feed: ScriptedFeed
) -> None:
    watch(SYMBOL)
    quote = feed.set(SYMBOL, 1_400)
    SymbolState.save_quotes([quote])
    idle.prune()
    wait_an_hour(clock)
    idle.prune()

    assert SymbolState.load_quotes() == {SYMBOL: quote}
    assert set(collection("symbols").find_one({"_id": SYMBOL})) == {
        "_id",
        "price",
        "source",
        "timestamp",
    }


def test_a_symbol_with_an_active_trade_is_watched_as_long_as_that_is_open(
    idle: IdleSymbols, clock: ManualClock, alice: Trader, feed: ScriptedFeed
) -> None:
    feed.set(SYMBOL, 1_400)
    trade = alice.create_trade(symbol=SYMBOL).get_json()
    for _ in range(3):
        assert idle.prune() == 0
        wait_an_hour(clock)
    feed.set(SYMBOL, 1_400)
    alice.post(f"/trades/exit/{trade['trade_id']}")

    assert idle.prune() == 0
    wait_an_hour(clock)
    assert idle.prune() == 1


def test_the_default_indices_are_never_looked_through(
    idle: IdleSymbols, clock: ManualClock
) -> None:
    watch("^NSEI")
    for _ in range(3):
        assert idle.prune() == 0
        wait_an_hour(clock)
    assert SymbolState.find_traded() == {"^NSEI"}


def test_a_trade_opened_while_its_symbol_is_idle_keeps_it_watched(
    idle: IdleSymbols, clock: ManualClock
) -> None:
    watch(SYMBOL)
    idle.prune()
    wait_an_hour(clock)
    # Another process opens a trade: its mark is there, the trade is not yet committed.
    SymbolState.mark_traded(SYMBOL)

    assert idle.prune() == 0
    assert SymbolState.find_traded() == {SYMBOL}


def test_a_mark_made_between_the_look_for_trades_and_the_clearing_is_kept(
    idle: IdleSymbols, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(SYMBOL)
    idle.prune()
    wait_an_hour(clock)

    def mark_after_looking(symbol: str) -> bool:
        found = original(symbol)
        SymbolState.mark_traded(symbol)
        return found

    original = Trade.has_active
    monkeypatch.setattr(Trade, "has_active", mark_after_looking)

    assert idle.prune() == 0
    assert SymbolState.find_traded() == {SYMBOL}


def test_a_trade_relies_on_a_mark_of_ten_minutes_and_then_makes_it_anew(
    alice: Trader, idle: IdleSymbols, clock: ManualClock, feed: ScriptedFeed
) -> None:
    feed.set(SYMBOL, 1_400)
    alice.create_trade(symbol=SYMBOL)
    collection("symbols").delete_many({})
    clock.advance(MARK_SECONDS - 1)
    feed.set(SYMBOL, 1_400)
    alice.create_trade(symbol=SYMBOL)
    assert SymbolState.find_traded() == set()
    clock.advance(1)

    feed.set(SYMBOL, 1_400)
    alice.create_trade(symbol=SYMBOL)
    assert SymbolState.find_traded() == {SYMBOL}


def test_a_trade_that_took_longer_to_write_than_a_mark_lasts_marks_again(
    alice: Trader,
    idle: IdleSymbols,
    clock: ManualClock,
    feed: ScriptedFeed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed.set(SYMBOL, 1_400)
    original = Trade.create

    def held_up(**trade: object) -> Trade:
        # The process stands still here, for so long that the symbol is cleared meanwhile.
        idle.prune()
        wait_an_hour(clock)
        assert idle.prune() == 1
        return original(**trade)

    monkeypatch.setattr(Trade, "create", held_up)
    assert alice.create_trade(symbol=SYMBOL).status_code == 201

    assert SymbolState.find_traded() == {SYMBOL}


def test_two_processes_that_prune_do_not_take_each_others_word(
    books: Flask, clock: ManualClock
) -> None:
    one, other = IdleSymbols(clock), IdleSymbols(clock)
    watch(SYMBOL)
    one.prune()
    clock.advance(IDLE_SECONDS - 1)
    other.prune()
    clock.advance(1)
    assert one.prune() == 0

    clock.advance(IDLE_SECONDS)
    assert one.prune() + other.prune() == 1


def test_the_watchlist_drops_what_lost_its_mark_and_keeps_what_was_marked_since() -> None:
    watchlist = PolledSymbols()
    watchlist.set_traded({"TCS.NS", "INFY.NS"}, 0)
    # Read from the database before this mark was made.
    read = {"INFY.NS"}
    watchlist.mark_traded(SYMBOL, 5)

    watchlist.set_traded(read, 6)
    assert watchlist.traded == {"INFY.NS", SYMBOL}
    assert watchlist.has_mark(SYMBOL, 6)
    assert not watchlist.has_mark("INFY.NS", 6)

    watchlist.set_traded(read, 5 + MARK_SECONDS)
    assert watchlist.traded == {"INFY.NS"}


def test_a_trade_has_its_symbol_polled_at_once(alice: Trader, books: Flask) -> None:
    alice.create_trade(symbol=SYMBOL)

    assert SYMBOL in services().watchlist.symbols()
