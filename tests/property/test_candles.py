"""Candles of any ticks: aggregation loses and invents no price."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.candle import (
    IST,
    Candle,
    Interval,
    aggregate,
    beginning_of,
    first_beginning_from,
)
from app.domain.errors import InvalidRequest
from app.domain.quote import Quote, Source
from app.market_data.candle_cache import MAX_CANDLES, choose_window
from app.market_data.feeds.replay import ReplayFeed
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.feeds.simulated_market import PAST_DAYS
from app.market_data.instruments.registry import Instruments
from tests.property.strategies import instrument
from tests.support.market import ManualClock

OPENING = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)

NAIVE = OPENING.replace(tzinfo=None)
times = st.datetimes(NAIVE.replace(year=1991), NAIVE.replace(year=2099), timezones=st.just(UTC))
intervals = st.sampled_from(Interval)
ticks = st.lists(
    st.tuples(st.integers(0, 300_000), st.integers(1, 10_000)), min_size=1, max_size=80
).map(
    lambda pairs: [
        Quote("X.NS", Decimal(paise) / 100, Source.REPLAY, OPENING + timedelta(seconds=at))
        for at, paise in sorted(pairs, key=lambda pair: pair[0])
    ]
)
tick_sizes = st.sampled_from([Decimal(each) for each in ("0.01", "0.05", "0.10", "1.00")])


def single(tick: Quote) -> Candle:
    return Candle.of([tick])


def market(clock: ManualClock, base_paise: int, tick_size: Decimal, seed: str) -> SimulatedFeed:
    instruments = Instruments([instrument(base_paise, tick_size)])
    return SimulatedFeed(instruments, clock, seed=seed)


@given(times, intervals)
def test_every_time_is_in_one_candle(time: datetime, interval: Interval) -> None:
    beginning = beginning_of(time, interval)

    assert beginning <= time < beginning + interval.length
    assert beginning_of(beginning, interval) == beginning
    assert beginning_of(beginning + interval.length, interval) == beginning + interval.length
    midnight = beginning.astimezone(IST).replace(hour=0, minute=0, second=0, microsecond=0)
    assert (beginning - midnight) % interval.length == timedelta()


@given(times, intervals)
def test_the_first_candle_from_a_time_does_not_begin_before_it(
    time: datetime, interval: Interval
) -> None:
    first = first_beginning_from(time, interval)

    assert first == beginning_of(first, interval)
    assert timedelta() <= first - time < interval.length


@given(ticks, intervals)
def test_candles_have_the_prices_of_their_ticks(ticks: list[Quote], interval: Interval) -> None:
    candles = aggregate(map(single, ticks), interval)

    for candle in candles:
        prices = [
            tick.price for tick in ticks if beginning_of(tick.timestamp, interval) == candle.time
        ]
        assert (candle.open, candle.close) == (prices[0], prices[-1])
        assert (candle.high, candle.low) == (max(prices), min(prices))
    assert {candle.time for candle in candles} == {
        beginning_of(t.timestamp, interval) for t in ticks
    }
    assert all(a.time < b.time for a, b in pairwise(candles))


@given(ticks, intervals, intervals)
def test_long_candles_can_be_aggregated_from_shorter_ones(
    ticks: list[Quote], one: Interval, other: Interval
) -> None:
    short, long = sorted((one, other), key=lambda each: each.length)
    singles = [single(tick) for tick in ticks]

    assert aggregate(aggregate(singles, short), long) == aggregate(singles, long)


@given(ticks, intervals, st.integers(0, 310_000), times, times)
def test_a_replay_returns_the_candles_of_its_played_ticks(
    ticks: list[Quote], interval: Interval, played: int, since: datetime, until: datetime
) -> None:
    clock = ManualClock()
    feed = ReplayFeed(ticks, clock)
    clock.advance(played)
    feed.poll(["X.NS"])
    reached = ticks[0].timestamp + timedelta(seconds=played)
    seen = [single(tick) for tick in ticks if tick.timestamp <= reached]

    candles = feed.history("X.NS", interval, since, until)

    assert candles == [each for each in aggregate(seen, interval) if since <= each.time < until]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(100, 100_000_000),
    tick_sizes,
    st.text(max_size=8),
    st.integers(0, 86_399),
    st.integers(0, 4_000),
    st.integers(0, PAST_DAYS),
)
def test_the_simulated_past_agrees_at_every_interval(
    base_paise: int, tick_size: Decimal, seed: str, second: int, run: int, days_ago: int
) -> None:
    start = datetime(2026, 11, 22, 18, 30, tzinfo=UTC) + timedelta(seconds=second)
    clock = ManualClock(start)
    feed = market(clock, base_paise, tick_size, seed)
    clock.advance(run)
    until = beginning_of(start, Interval.DAY) - timedelta(days=days_ago - 1)
    since = until - timedelta(days=1)

    minutes = feed.history("X.NS", Interval.MINUTE, since, until)

    for interval in Interval:
        assert feed.history("X.NS", interval, since, until) == aggregate(minutes, interval)
    for candle in minutes:
        prices = (candle.open, candle.high, candle.low, candle.close)
        assert candle.low == min(prices) > 0
        assert candle.high == max(prices)
        assert all(price % tick_size == 0 for price in prices)
        assert candle.time <= clock.now()
    assert all(b.time - a.time == timedelta(minutes=1) for a, b in pairwise(minutes))


@settings(max_examples=20, deadline=None)
@given(
    st.text(max_size=8),
    st.integers(0, 59_999),
    st.lists(st.integers(1, 40), max_size=10),
    intervals,
)
def test_simulated_candles_do_not_depend_on_the_polls(
    seed: str, milliseconds: int, waits: list[int], interval: Interval
) -> None:
    """A poll each second sees every price; fewer polls give the same candles."""
    start = OPENING + timedelta(milliseconds=milliseconds)
    often, seldom = ManualClock(start), ManualClock(start)
    watched = market(often, 100_000, Decimal("0.05"), seed)
    glanced_at = market(seldom, 100_000, Decimal("0.05"), seed)
    seen = watched.poll(["X.NS"])
    for wait in waits:
        for _ in range(wait):
            often.advance(1)
            seen += watched.poll(["X.NS"])
        seldom.advance(wait)
        glanced_at.poll(["X.NS"])
    first = first_beginning_from(start, interval)

    candles = watched.history("X.NS", interval, first, often.now() + interval.length)

    assert candles == glanced_at.history("X.NS", interval, first, seldom.now() + interval.length)
    expected = [each for each in aggregate(map(single, seen), interval) if each.time >= first]
    assert [(each.time, each.open, each.high, each.low, each.close) for each in candles] == [
        (each.time, each.open, each.high, each.low, each.close) for each in expected
    ]


@given(
    intervals,
    st.one_of(st.none(), times),
    st.one_of(st.none(), times),
    times,
)
def test_a_window_has_whole_candles_and_at_most_the_maximum(
    interval: Interval, since: datetime | None, until: datetime | None, now: datetime
) -> None:
    try:
        window = choose_window("X.NS", interval, since, until, now)
    except InvalidRequest:
        assert since is not None
        return
    forming = beginning_of(now, interval)
    assert timedelta() <= window.until - window.since <= MAX_CANDLES * interval.length
    for end in (window.since, window.until):
        assert beginning_of(end, interval) == end
    if window.since < window.until:
        last = window.until - interval.length
        assert last <= forming
        assert until is None or last < until
        assert since is None or since <= window.since < since + interval.length
