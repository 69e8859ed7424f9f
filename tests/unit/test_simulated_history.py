"""Candles of the simulated market: of its prices since the start, and of a made-up past before."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise

import pytest

from app.domain.candle import Candle, Interval, aggregate, beginning_of
from app.domain.quote import Quote, Source
from app.market_data.feeds.price_path import KEPT_BARS, PAST_DAYS
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.instruments.registry import load_instruments
from tests.support.concurrency import run_concurrently
from tests.support.market import ManualClock

INSTRUMENTS = load_instruments()
# Within a minute, an hour and a day.
START = datetime(2026, 11, 23, 4, 7, 23, tzinfo=UTC)
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)


def market(
    clock: ManualClock,
    seed: str | None = "7",
    step_seconds: float = 10,
    last_prices: dict[str, Decimal] | None = None,
) -> SimulatedFeed:
    return SimulatedFeed(
        INSTRUMENTS, clock, seed=seed, step_seconds=step_seconds, last_prices=last_prices
    )


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
def test_candles_since_the_start_have_the_polled_prices(
    interval: Interval,
) -> None:
    clock = ManualClock(START)
    feed = market(clock)
    ticks = watch(feed, clock, 800)
    expected = aggregate([Candle.of([tick]) for tick in ticks], interval)

    candles = feed.history("^NSEI", interval, beginning_of(START, interval), clock.now())

    assert shape(candles[1:]) == shape(expected[1:])
    # The first candle began before the start, so it includes some of the past.
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


def test_the_past_ends_at_the_first_price() -> None:
    feed = market(ManualClock(START))
    price = feed.latest("^NSEI")
    assert price is not None

    candles = last(feed, Interval.MINUTE, 300)

    assert shape(candles)[-1] == (price.price,) * 4
    assert candles[-2].close == price.price
    for earlier, later in pairwise(candles[:-1]):
        assert later.open == earlier.close


def test_the_past_is_as_volatile_as_the_present() -> None:
    clock = ManualClock(START)
    feed = market(clock)
    clock.advance(60_060)
    present = last(feed, Interval.MINUTE, 1_000)
    before = feed.history(
        "^NSEI", Interval.MINUTE, START - timedelta(minutes=1_001), START - timedelta(minutes=1)
    )

    def movement(candles: list[Candle]) -> float:
        moves = [float(b.close / a.close) - 1 for a, b in pairwise(candles)]
        return math.sqrt(sum(move**2 for move in moves) / len(moves))

    assert movement(before) == pytest.approx(movement(present), rel=0.25)


def test_the_same_seed_has_the_same_past() -> None:
    one, other = market(ManualClock(START)), market(ManualClock(START))
    next_day = market(ManualClock(START + timedelta(days=1)))
    another = market(ManualClock(START), "8")

    for interval in Interval:
        past = last(one, interval, 100)
        assert past == last(other, interval, 100)
        # The past is relative to the start: a day later, the same path is a day later.
        assert shape(past) == shape(last(next_day, interval, 100))
        assert past != last(another, interval, 100)


def test_a_continued_market_has_a_past_that_ends_at_its_last_price() -> None:
    feed = market(ManualClock(START), None, last_prices={"^NSEI": Decimal("31234.55")})

    assert last(feed, Interval.MINUTE, 2)[0].close == Decimal("31234.55")


@pytest.mark.parametrize("seconds", [0, 37])
@pytest.mark.parametrize("hours", [0, 5])
def test_the_candles_of_every_interval_agree(seconds: int, hours: int) -> None:
    start = datetime(2026, 11, 23, 4, 0, seconds, tzinfo=UTC) + timedelta(hours=hours)
    clock = ManualClock(start)
    feed = market(clock)
    clock.advance(7_000)
    since = beginning_of(start, Interval.DAY) - timedelta(days=3)

    minutes = feed.history("^NSEI", Interval.MINUTE, since, clock.now())

    for interval in Interval:
        assert feed.history("^NSEI", interval, since, clock.now()) == aggregate(minutes, interval)


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
    assert len(feed.history("^NSEI", Interval.DAY, first_day, first_day.replace(year=2017))) > 50


def test_an_unknown_symbol_has_no_history() -> None:
    assert market(ManualClock()).history("AAPL", Interval.DAY, LONG_AGO, START) == []


def test_a_share_of_a_few_paise_keeps_its_tick_size() -> None:
    feed = market(ManualClock(START), None, last_prices={"TCS.NS": Decimal("0.10")})
    tick_size = INSTRUMENTS.get("TCS.NS").tick_size

    for candle in last(feed, Interval.DAY, 1_000, "TCS.NS"):
        for price in shape([candle])[0]:
            assert price > 0
            assert price % tick_size == 0


def test_a_thousand_candles_are_kept_after_any_time() -> None:
    clock = ManualClock(START)
    feed = market(clock, step_seconds=60)
    clock.advance(60 * (KEPT_BARS + 2_000))

    minutes = feed.history("^NSEI", Interval.MINUTE, START - timedelta(days=2), clock.now())

    assert 1_000 <= len(minutes) <= KEPT_BARS + 1
    assert minutes[-1].time == beginning_of(clock.now(), Interval.MINUTE)
    # There is no hole: the past is dropped together with old candles.
    assert {b.time - a.time for a, b in pairwise(minutes)} == {timedelta(minutes=1)}
    hours = last(feed, Interval.HOUR, 500)
    assert hours[0].time < START
    assert len(hours) == 500


def test_a_market_with_long_steps_has_candles_at_its_steps() -> None:
    clock = ManualClock(START)
    feed = market(clock, step_seconds=600)
    ticks = watch(feed, clock, 5, seconds=600)
    candles = feed.history("^NSEI", Interval.MINUTE, START, clock.now())

    assert [candle.close for candle in candles] == [tick.price for tick in ticks[1:]]
    assert [candle.time for candle in candles] == [
        beginning_of(tick.timestamp, Interval.MINUTE) for tick in ticks[1:]
    ]


class Machine(ManualClock):
    """A clock whose wall time can be set apart from its other time."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.shift = timedelta()

    def now(self) -> datetime:
        return super().now() + self.shift


def test_after_a_suspension_candles_continue_at_the_present_time() -> None:
    clock = Machine(START)
    feed = market(clock)
    watch(feed, clock, 60)
    slept_from, clock.shift = clock.now(), timedelta(hours=8)
    watch(feed, clock, 60)

    candles = feed.history("^NSEI", Interval.MINUTE, START, clock.now())

    times = [candle.time for candle in candles]
    assert times[-1] == beginning_of(clock.now(), Interval.MINUTE)
    assert max(b - a for a, b in pairwise(times)) >= timedelta(hours=7, minutes=58)
    assert not [time for time in times if slept_from < time < slept_from + timedelta(hours=7)]


def test_a_clock_set_back_leaves_the_candles_in_order() -> None:
    clock = Machine(START)
    feed = market(clock)
    watch(feed, clock, 60)
    before = feed.history("^NSEI", Interval.MINUTE, START, clock.now())
    clock.shift = timedelta(minutes=-5)
    watch(feed, clock, 60)

    candles = feed.history("^NSEI", Interval.MINUTE, START, clock.now())

    assert candles[: len(before) - 1] == before[:-1]
    assert [candle.time for candle in candles] == sorted({candle.time for candle in candles})
    latest = feed.latest("^NSEI")
    assert latest is not None
    assert candles[-1].close == latest.price


def test_a_path_continues_from_a_given_price() -> None:
    clock = ManualClock(START)
    feed = market(clock)
    before = watch(feed, clock, 30)
    feed.continue_from("^NSEI", Decimal("31234.55"))
    jumped = watch(feed, clock, 30)

    assert jumped[0].price == Decimal("31234.55")
    assert all(abs(tick.price - 31_234) < 500 for tick in jumped)
    assert len({tick.price for tick in jumped}) > 20
    candles = feed.history("^NSEI", Interval.MINUTE, START - timedelta(minutes=30), clock.now())
    assert shape(candles[-10:]) == shape(
        aggregate([Candle.of([tick]) for tick in before + jumped], Interval.MINUTE)[-10:]
    )
    assert candles[0].close < 26_000


def test_an_unread_path_begins_at_a_given_price() -> None:
    clock = ManualClock(START)
    feed = market(clock)
    clock.advance(86_400)
    feed.continue_from("^NSEI", Decimal(31_000))
    feed.continue_from("AAPL", Decimal(1))

    assert feed.latest("AAPL") is None
    candles = last(feed, Interval.MINUTE, 500)
    assert len(candles) == 500
    assert shape(candles)[-1] == (Decimal(31_000),) * 4
    assert candles[-2].close == 31_000


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


def test_unread_time_before_a_given_price_has_no_candles() -> None:
    clock = ManualClock(START)
    feed = market(clock)
    feed.poll(["^NSEI"])
    clock.advance(30 * 86_400)
    feed.continue_from("^NSEI", Decimal(31_000))

    days = last(feed, Interval.DAY, 40)

    assert days[-1].time - days[-2].time == timedelta(days=30)
    assert len(days) == 11


def test_concurrent_reads_agree() -> None:
    clock = ManualClock(START)
    feed = market(clock, step_seconds=1)
    clock.advance(60_000)

    wanted = [*Interval, *Interval]
    seen = run_concurrently([partial(last, feed, interval, 100) for interval in wanted])

    alone = ManualClock(START)
    quiet = market(alone, step_seconds=1)
    alone.advance(60_000)
    assert seen == [last(quiet, interval, 100) for interval in wanted]


@pytest.mark.parametrize("interval", Interval)
def test_the_largest_request_costs_little(interval: Interval) -> None:
    """Under 50 ms on an idle machine; to compute the whole path would take many seconds."""
    feed = market(ManualClock(START))
    until = START - timedelta(days=PAST_DAYS // 2)

    def ask() -> float:
        began = time.thread_time()
        feed.history("^NSEI", interval, until - 1_000 * interval.length, until)
        return time.thread_time() - began

    assert min(ask() for _ in range(3)) < 1
