"""Candles of the simulated market: of its past and of what it shows now."""

from __future__ import annotations

import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise

import pytest

from app.domain.candle import Candle, Interval, aggregate, beginning_of
from app.domain.quote import Quote, Source
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.feeds.simulated_market import PAST_DAYS
from app.market_data.instruments.registry import load_instruments
from tests.support.concurrency import run_concurrently
from tests.support.market import ManualClock

INSTRUMENTS = load_instruments()
MINUTE = Interval.MINUTE
# Within a minute, an hour and a day.
START = datetime(2026, 11, 23, 4, 7, 23, tzinfo=UTC)
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
DAYS = timedelta(days=32)


def market(
    clock: ManualClock,
    seed: str | None = "7",
    last_prices: dict[str, Decimal] | None = None,
) -> SimulatedFeed:
    return SimulatedFeed(INSTRUMENTS, clock, seed=seed, last_prices=last_prices)


def last(
    feed: SimulatedFeed, interval: Interval, count: int, symbol: str = "^NSEI"
) -> list[Candle]:
    until = beginning_of(feed.now(), interval) + interval.length
    return feed.history(symbol, interval, until - count * interval.length, until)


def shape(candles: list[Candle]) -> list[tuple[Decimal, ...]]:
    return [(candle.open, candle.high, candle.low, candle.close) for candle in candles]


def watch(feed: SimulatedFeed, clock: ManualClock, polls: int, seconds: float = 10) -> list[Quote]:
    ticks = feed.poll(["^NSEI"])
    for _ in range(polls):
        clock.advance(seconds)
        ticks += feed.poll(["^NSEI"])
    return ticks


@pytest.mark.parametrize("interval", Interval)
def test_a_poll_each_second_makes_the_candles(interval: Interval) -> None:
    clock = ManualClock(START)
    feed = market(clock)
    ticks = watch(feed, clock, 1_000, seconds=1)
    expected = aggregate([Candle.of([tick]) for tick in ticks], interval)

    candles = feed.history("^NSEI", interval, beginning_of(START, interval), clock.now())

    assert shape(candles[1:]) == shape(expected[1:])
    # The first candle began before the first poll.
    assert candles[0].close == expected[0].close
    assert candles[0].high >= expected[0].high
    assert candles[0].low <= expected[0].low
    assert [candle.time for candle in candles] == [each.time for each in expected]
    assert {candle.source for candle in candles} == {Source.MOCK}


def test_candles_do_not_depend_on_polls() -> None:
    one, other = ManualClock(START), ManualClock(START)
    watched, unwatched = market(one), market(other)
    watch(watched, one, 100)
    other.advance(1_000)

    for interval in Interval:
        assert last(watched, interval, 50) == last(unwatched, interval, 50)


@pytest.mark.parametrize("interval", Interval)
def test_a_chart_is_full_from_the_start(interval: Interval) -> None:
    feed = market(ManualClock(START))

    candles = last(feed, interval, 1_000)

    assert len(candles) == 1_000
    assert [b.time - a.time for a, b in pairwise(candles)] == [interval.length] * 999
    assert candles[-1].time == beginning_of(START, interval)


def test_prices_go_on_from_candle_to_candle_and_jump_between_sessions() -> None:
    feed = market(ManualClock(START))
    price = feed.latest("^NSEI")
    assert price is not None

    candles = last(feed, Interval.MINUTE, 800)

    assert candles[-1].close == price.price
    changes = {
        later.time: abs(later.open / earlier.close - 1) for earlier, later in pairwise(candles)
    }
    midnight = beginning_of(START, Interval.DAY)
    gap = changes.pop(midnight)
    assert max(changes.values()) < Decimal("0.0006") < gap


def test_the_same_seed_has_the_same_past() -> None:
    one, other = market(ManualClock(START)), market(ManualClock(START))
    next_day = market(ManualClock(START + timedelta(days=1)))
    another = market(ManualClock(START), "8")

    for interval in Interval:
        past = last(one, interval, 100)
        assert past == last(other, interval, 100)
        since, until = past[0].time, past[-1].time
        assert past[:-1] == next_day.history("^NSEI", interval, since, until)
        assert past != last(another, interval, 100)


def test_a_continued_market_has_a_past_that_ends_at_its_last_price() -> None:
    feed = market(ManualClock(START), None, last_prices={"^NSEI": Decimal("31234.55")})

    before, now = last(feed, Interval.MINUTE, 2)
    assert now.close == Decimal("31234.55")
    assert abs(before.close - now.close) < 31


@pytest.mark.parametrize("seconds", [0, 37])
@pytest.mark.parametrize("hours", [0, 5])
def test_the_candles_of_every_interval_agree(seconds: int, hours: int) -> None:
    start = datetime(2026, 11, 23, 4, 0, seconds, tzinfo=UTC) + timedelta(hours=hours)
    clock = ManualClock(start)
    feed = market(clock)
    clock.advance(7_000)
    since = beginning_of(start, Interval.DAY) - timedelta(days=3)

    for symbol in ("^NSEI", "RELIANCE.BO"):
        minutes = feed.history(symbol, Interval.MINUTE, since, clock.now())
        for interval in Interval:
            candles = feed.history(symbol, interval, since, clock.now())
            assert candles == aggregate(minutes, interval)


def test_a_part_of_the_past_equals_the_same_part_of_the_whole() -> None:
    feed = market(ManualClock(START))
    whole = last(feed, Interval.FIVE_MINUTES, 1_000)
    part = feed.history("^NSEI", Interval.FIVE_MINUTES, whole[100].time, whole[200].time)

    assert part == whole[100:200]


def test_the_future_has_no_candles() -> None:
    clock = ManualClock(START)
    feed = market(clock)
    # A slightly early poll is already at the step of the next minute.
    clock.advance(36)
    feed.poll(["^NSEI"])

    for interval in Interval:
        later = beginning_of(clock.now(), interval) + interval.length
        assert feed.history("^NSEI", interval, later, later + timedelta(days=5)) == []
        assert last(feed, interval, 3)[-1].time == beginning_of(clock.now(), interval)


def test_the_past_has_a_beginning() -> None:
    feed = market(ManualClock(START))
    first_day = START - timedelta(days=PAST_DAYS + 1)

    assert feed.history("^NSEI", Interval.DAY, LONG_AGO, first_day) == []
    assert len(feed.history("^NSEI", Interval.DAY, first_day, first_day + DAYS)) >= 30


def test_an_unknown_symbol_has_no_history() -> None:
    assert market(ManualClock()).history("AAPL", Interval.DAY, LONG_AGO, START) == []


def test_a_share_of_a_few_paise_keeps_its_tick_size() -> None:
    feed = market(ManualClock(START), None, last_prices={"TCS.NS": Decimal("0.10")})
    tick_size = INSTRUMENTS.get("TCS.NS").tick_size

    for candle in last(feed, Interval.DAY, 100, "TCS.NS"):
        for price in shape([candle])[0]:
            assert price > 0
            assert price % tick_size == 0


def test_candles_of_a_gap_have_each_second_of_it() -> None:
    clock = ManualClock(START)
    feed = market(clock)
    since = clock.now()
    ticks = watch(feed, clock, 200, seconds=1)[1:]

    candles = feed.candles("^NSEI", since, clock.now())

    assert [(candle.time, *shape([candle])[0]) for candle in candles] == [
        (made.time, *shape([made])[0])
        for made in (
            Candle.of([tick for tick in ticks if beginning_of(tick.timestamp, MINUTE) == minute])
            for minute in sorted({beginning_of(tick.timestamp, MINUTE) for tick in ticks})
        )
    ]
    assert feed.candles("^NSEI", clock.now(), clock.now()) == []
    assert feed.candles("AAPL", since, clock.now()) == []


def test_candles_of_a_long_gap_are_those_of_the_history() -> None:
    clock = ManualClock(START)
    feed = market(clock)
    since = clock.now()
    clock.advance(2 * 86_400)

    candles = feed.candles("RELIANCE.NS", since, clock.now())

    history = feed.history("RELIANCE.NS", MINUTE, beginning_of(since, MINUTE), clock.now())
    assert candles[1:] == history[1:]
    assert len(candles) == 2 * 1_440 + 1


def test_a_symbol_continues_from_a_given_price() -> None:
    clock = ManualClock(START)
    feed = market(clock)
    watch(feed, clock, 30)
    feed.continue_from("^NSEI", Decimal("31234.55"))
    feed.continue_from("AAPL", Decimal(1))
    jumped = watch(feed, clock, 30)

    assert jumped[0].price == Decimal("31234.55")
    assert all(abs(tick.price - 31_234) < 500 for tick in jumped)
    assert len({tick.price for tick in jumped}) > 20
    candles = last(feed, Interval.MINUTE, 30)
    assert candles[-1].close == jumped[-1].price
    assert abs(candles[0].close - 31_234) < 500
    assert feed.latest("AAPL") is None


def test_a_given_price_is_rounded_to_the_tick_size() -> None:
    feed = market(ManualClock(START))
    tick_size = INSTRUMENTS.get("RELIANCE.NS").tick_size
    for last_price in (Decimal("1400.03"), Decimal("0.01"), Decimal(0)):
        feed.continue_from("RELIANCE.NS", last_price)
        quote = feed.latest("RELIANCE.NS")
        assert quote is not None
        assert quote.price % tick_size == 0
        assert quote.price >= tick_size
        assert abs(quote.price - last_price) <= tick_size


def test_concurrent_reads_agree() -> None:
    clock = ManualClock(START)
    feed = market(clock)
    clock.advance(60_000)

    wanted = [*Interval, *Interval]
    seen = run_concurrently([partial(last, feed, interval, 100) for interval in wanted])

    alone = ManualClock(START)
    quiet = market(alone)
    alone.advance(60_000)
    assert seen == [last(quiet, interval, 100) for interval in wanted]


@pytest.mark.parametrize("interval", Interval)
def test_the_largest_request_costs_little(interval: Interval) -> None:
    """Under 0.4 s on an idle machine, for a thousand days; 30 ms for minutes."""
    feed = market(ManualClock(START))
    until = START - timedelta(days=PAST_DAYS // 2)

    def ask() -> float:
        began = time.thread_time()
        feed.history("^NSEI", interval, until - 1_000 * interval.length, until)
        return time.thread_time() - began

    assert min(ask() for _ in range(3)) < 1.5


def test_any_candle_of_ten_years_costs_little() -> None:
    """Under 20 ms on an idle machine, also the first time."""
    spent = []
    for number in range(5):
        feed = market(ManualClock(START), seed=f"{number}")
        until = START - timedelta(days=PAST_DAYS - 10)
        began = time.thread_time()
        assert len(feed.history("^NSEI", Interval.HOUR, until, until + timedelta(hours=1))) == 1
        spent.append(time.thread_time() - began)

    assert min(spent) < 0.2


def test_memory_is_bounded() -> None:
    feed = market(ManualClock(START))
    feed.history("^NSEI", Interval.DAY, START - timedelta(days=100), START)
    tracemalloc.start()
    try:
        for day in range(200, 3_600, 150):
            since = START - timedelta(days=day)
            feed.history("RELIANCE.NS", Interval.MINUTE, since, since + timedelta(hours=10))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # 12 sessions of half a megabyte, and ten years of days.
    assert kept < 20_000_000
