"""Feeds polled at any times: each recorded tick once, each simulated price on its tick size."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.quote import Quote, Source
from app.market_data.feeds.replay import ReplayFeed
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.instruments.registry import Instruments
from app.market_data.quotes import QuoteBoard
from tests.property.strategies import instrument
from tests.support.market import ManualClock, ScriptedFeed, permissive_filter
from tests.support.quotes import quote

OPENING = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
SYMBOLS = ("^NSEI", "TCS.NS", "INFY.NS")

recordings = st.lists(
    st.tuples(st.integers(0, 5_000), st.sampled_from(SYMBOLS)), min_size=1, max_size=60
)
# Milliseconds between polls.
schedules = st.lists(st.integers(0, 3_000), max_size=30)
speeds = st.sampled_from([0.5, 1, 2, 60])


def ticks_of(recording: list[tuple[int, str]]) -> list[Quote]:
    """Return ticks with distinct prices."""
    return [
        Quote(symbol, Decimal(n + 1), Source.REPLAY, OPENING + timedelta(milliseconds=at))
        for n, (at, symbol) in enumerate(recording)
    ]


@given(recordings, schedules, speeds)
def test_each_recorded_tick_is_returned_once_and_in_order(
    recording: list[tuple[int, str]], schedule: list[int], speed: float
) -> None:
    clock = ManualClock()
    ticks = ticks_of(recording)
    feed = ReplayFeed(ticks, clock, speed=speed)
    seen = feed.poll(SYMBOLS)
    for milliseconds in schedule:
        clock.advance(milliseconds / 1_000)
        seen += feed.poll(SYMBOLS)
        for symbol in SYMBOLS:
            its = [tick for tick in seen if tick.symbol == symbol]
            assert feed.latest(symbol) == (its[-1] if its else None)
    clock.advance(20_000)
    seen += feed.poll(SYMBOLS)

    assert seen == sorted(ticks, key=lambda tick: tick.timestamp)
    assert feed.poll(SYMBOLS) == []


@given(recordings, schedules, st.sets(st.sampled_from(SYMBOLS)))
def test_ticks_are_returned_for_the_polled_symbols_only(
    recording: list[tuple[int, str]], schedule: list[int], symbols: set[str]
) -> None:
    clock = ManualClock()
    feed = ReplayFeed(ticks_of(recording), clock)
    seen = feed.poll(symbols)
    for milliseconds in [*schedule, 20_000_000]:
        clock.advance(milliseconds / 1_000)
        seen += feed.poll(symbols)

    assert {tick.symbol for tick in seen} <= symbols
    assert len(seen) == sum(symbol in symbols for _, symbol in recording)


@settings(max_examples=25)
@given(
    st.integers(1_000, 10_000_000),
    st.sampled_from([Decimal(each) for each in ("0.01", "0.05", "0.10", "0.50", "1.00")]),
    st.text(max_size=8),
    st.lists(st.integers(0, 400), max_size=10),
)
def test_a_simulated_price_is_positive_and_a_multiple_of_the_tick_size(
    base_paise: int, tick_size: Decimal, seed: str, waits: list[int]
) -> None:
    clock = ManualClock()
    instruments = Instruments([instrument(base_paise, tick_size)])
    feed = SimulatedFeed(instruments, clock, seed=seed)
    for wait in waits:
        clock.advance(wait)
        (tick,) = feed.poll(["X.NS"])
        assert tick.price > 0
        assert tick.price % tick_size == 0


@settings(max_examples=25)
@given(st.text(max_size=8), st.lists(st.integers(0, 50), max_size=10))
def test_a_price_depends_on_the_time_and_not_on_earlier_polls(seed: str, waits: list[int]) -> None:
    asked, unasked = ManualClock(), ManualClock()
    instruments = Instruments([instrument(100_000, Decimal("0.05"))])
    busy = SimulatedFeed(instruments, asked, seed=seed)
    quiet = SimulatedFeed(instruments, unasked, seed=seed)
    for wait in waits:
        asked.advance(wait)
        busy.poll(["X.NS"])
    unasked.advance(sum(waits))

    prices = [each.price for feed in (busy, quiet) for each in feed.poll(["X.NS"])]
    assert len(set(prices)) == 1


@given(st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=40), st.data())
def test_the_board_keeps_every_tick_after_an_entry(symbols: list[str], data: st.DataObject) -> None:
    clock = ManualClock()
    board = QuoteBoard(ScriptedFeed(clock), clock, permissive_filter(clock), fresh_seconds=1)
    ticks = [quote(n + 1, symbol=symbol) for n, symbol in enumerate(symbols)]
    cut = data.draw(st.integers(0, len(ticks)))
    posted = [*board.update(ticks[:cut]), *board.update(ticks[cut:])]
    entry = data.draw(st.integers(0, len(ticks) - 1))

    later = [tick for tick in ticks[entry + 1 :] if tick.symbol == ticks[entry].symbol]
    assert board.ticks_since(posted[entry]) == later
