"""The movers of a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from app.domain.movers import Movers, find_movers, of_last_day, turnover
from app.domain.quote import NO_DETAILS, Quote, QuoteDetails, Source
from app.market_data.instruments.registry import load_instruments
from app.market_data.movers import MAX_COMPARED, MoverBoard
from app.market_data.polled_symbols import PolledSymbols
from app.market_data.quotes import QuoteBoard
from tests.support.market import ManualClock, ScriptedFeed, permissive_filter
from tests.support.quotes import NOON, quote


def moved(symbol: str, price: int, volume: int | None = None, previous: int = 100) -> Quote:
    details = QuoteDetails(previous_close=Decimal(previous), volume=volume)
    return replace(quote(price, symbol=symbol), details=details)


def symbols(quotes: list[Quote]) -> list[str]:
    return [each.symbol for each in quotes]


def test_movers_are_ordered_by_their_size() -> None:
    quotes = [
        moved("SAME", 100, 1),
        moved("UP", 103, 500),
        moved("FALLS", 90, 2_000),
        moved("RISES", 110, 40),
        moved("DOWN", 99, 700),
        moved("DEAR", 5_050, 90, previous=5_000),
    ]

    found = find_movers(quotes, 10)

    assert symbols(found.gainers) == ["RISES", "UP", "DEAR"]
    assert symbols(found.losers) == ["FALLS", "DOWN"]
    assert symbols(found.by_turnover) == ["DEAR", "FALLS", "DOWN", "UP", "RISES", "SAME"]
    assert symbols(found.by_volume) == ["FALLS", "DOWN", "UP", "DEAR", "RISES", "SAME"]
    assert found.watched == 6
    first = find_movers(quotes, 1)
    assert symbols(first.gainers + first.losers + first.by_volume) == ["RISES", "FALLS", "FALLS"]


def test_equal_movers_are_in_the_order_of_their_symbols() -> None:
    found = find_movers([moved("B", 101, 5), moved("A", 101, 5)], 10)

    assert symbols(found.gainers) == symbols(found.by_volume) == ["A", "B"]


def test_what_a_source_does_not_tell_makes_no_mover() -> None:
    bare = replace(quote(105), details=NO_DETAILS)

    assert turnover(bare) is None
    assert find_movers([bare], 10) == Movers([], [], [], [], watched=1)


def test_only_the_last_day_of_a_source_counts() -> None:
    yesterday = NOON - timedelta(days=1)
    old = quote(1, Source.YAHOO, yesterday, "OLD.NS")
    recorded = quote(1, Source.REPLAY, NOON - timedelta(days=500), "REC.NS")
    new = [
        quote(1, Source.YAHOO, NOON - timedelta(hours=hours), f"NEW{hours}.NS") for hours in (0, 6)
    ]

    assert of_last_day([old, recorded, *new]) == [*new, recorded]
    assert of_last_day([old]) == [old]
    assert of_last_day([]) == []


def test_movers_are_found_once_in_an_interval_and_among_watched_shares_only() -> None:
    clock = ManualClock()
    quotes = QuoteBoard(ScriptedFeed(clock), clock, permissive_filter(clock), fresh_seconds=10**6)
    polled = PolledSymbols()
    polled.refresh(traded={"TCS.NS", "^NSEI"}, alerted={"INFY.NS", "NO-SUCH.NS"}, followed=set())
    board = MoverBoard(quotes, polled, load_instruments(), clock, interval_seconds=2)

    def post(symbol: str, price: int) -> None:
        quotes.update([replace(moved(symbol, price), timestamp=clock.now())])

    post("TCS.NS", 101)
    for symbol in ("WIPRO.NS", "^NSEI", "NO-SUCH.NS"):
        post(symbol, 150)
    first = board.latest()
    assert symbols(first.gainers) == ["TCS.NS"]
    clock.advance(1)
    post("INFY.NS", 99)
    assert board.latest() is first

    clock.advance(1)
    assert polled.try_follow(["WIPRO.NS"], budget=1)
    later = board.latest()
    assert symbols(later.gainers) == ["WIPRO.NS", "TCS.NS"]
    assert symbols(later.losers) == ["INFY.NS"]
    assert later.watched == 3


def test_symbols_that_most_sockets_follow_are_compared_first() -> None:
    polled = PolledSymbols()
    traded = {f"S{number}.NS" for number in range(MAX_COMPARED)}
    polled.refresh(traded=traded, alerted={"S0.NS"}, followed={"ELSEWHERE.NS"})
    assert polled.try_follow(["ONCE.NS", "TWICE.NS"], budget=2)
    assert polled.try_follow(["TWICE.NS"], budget=2)

    assert polled.watched[:2] == ["TWICE.NS", "ONCE.NS"]
    assert set(polled.watched) == {*traded, "ELSEWHERE.NS", "ONCE.NS", "TWICE.NS"}
    assert len(polled.watched) == len(traded) + 3
