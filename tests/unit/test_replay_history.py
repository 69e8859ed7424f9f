"""Candles of a replay: only ticks up to the present."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.candle import Candle, Interval, beginning_of
from app.domain.quote import Quote, Source
from app.market_data.feeds.replay import ReplayFeed
from tests.support.market import ManualClock
from tests.support.quotes import prices_of

# 09:15 in India.
OPENING = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
LONG_AGO = OPENING - timedelta(days=900)
NEVER = OPENING + timedelta(days=900)


def tick(seconds: float, price: int | str, symbol: str = "^NSEI") -> Quote:
    return Quote(symbol, Decimal(price), Source.REPLAY, OPENING + timedelta(seconds=seconds))


def shape(candles: list[Candle]) -> list[tuple[Decimal | int, ...]]:
    return [prices_of(candle) for candle in candles]


def history(feed: ReplayFeed, interval: Interval = Interval.MINUTE) -> list[Candle]:
    return feed.history("^NSEI", interval, LONG_AGO, NEVER)


def recording() -> list[Quote]:
    """Return two days of ticks of two symbols, with minutes and hours without ticks."""
    draw = random.Random(5)
    seconds = sorted(
        day * 86_400 + draw.choice([0, 1, 3, 4, 5]) * 3_600 + draw.randrange(3_600)
        for day in (0, 1)
        for _ in range(1_500)
    )
    return [
        tick(at, draw.randrange(24_000, 26_000), draw.choice(["^NSEI", "TCS.NS"])) for at in seconds
    ]


def told_apart(ticks: list[Quote], interval: Interval) -> dict[int, list[Decimal]]:
    """Return open, high, low and close by the Unix time at which a candle begins."""
    length = int(interval.length.total_seconds())
    prices: dict[int, list[Decimal]] = {}
    for tick in ticks:
        seconds = int(tick.timestamp.timestamp()) + 19_800
        prices.setdefault(seconds - seconds % length - 19_800, []).append(tick.price)
    return {at: [its[0], max(its), min(its), its[-1]] for at, its in prices.items()}


@pytest.mark.parametrize("interval", Interval)
@pytest.mark.parametrize("played", [0, 4_000, 45_000, 90_000, 200_000])
def test_candles_are_those_of_the_ticks_played_so_far(interval: Interval, played: int) -> None:
    clock = ManualClock()
    ticks = recording()
    feed = ReplayFeed(ticks, clock)
    clock.advance(played)
    feed.poll(["^NSEI"])
    until = ticks[0].timestamp + timedelta(seconds=played)
    seen = [tick for tick in ticks if tick.symbol == "^NSEI" and tick.timestamp <= until]

    candles = history(feed, interval)

    assert {
        int(candle.time.timestamp()): [candle.open, candle.high, candle.low, candle.close]
        for candle in candles
    } == told_apart(seen, interval)
    assert [candle.time for candle in candles] == sorted(candle.time for candle in candles)
    assert {candle.source for candle in candles} <= {Source.REPLAY}


def test_candles_have_no_future_ticks() -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(0, 100), tick(30, 110), tick(45, 90), tick(70, 500)], clock)
    clock.advance(40)
    feed.poll(["^NSEI"])

    assert shape(history(feed)) == [(100, 110, 100, 110)]
    clock.advance(10)
    feed.poll(["^NSEI"])
    assert shape(history(feed)) == [(100, 110, 90, 90)]
    assert shape(history(feed, Interval.DAY)) == [(100, 110, 90, 90)]


def test_a_candle_is_not_ahead_of_the_latest_price() -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(0, 100), tick(30, 110)], clock)
    feed.poll(["^NSEI"])
    clock.advance(40)

    latest = feed.latest("^NSEI")

    assert latest is not None
    assert history(feed)[-1].close == latest.price == 100


def test_both_ends_are_rounded_to_beginnings_of_candles() -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(60 * minute, minute + 1) for minute in range(10)], clock)
    clock.advance(600)
    feed.poll(["^NSEI"])
    third, seventh = OPENING + timedelta(minutes=3), OPENING + timedelta(minutes=7)

    candles = feed.history("^NSEI", Interval.MINUTE, third, seventh)

    assert [candle.open for candle in candles] == [4, 5, 6, 7]
    # The forming candle is cut off too.
    ninth = OPENING + timedelta(minutes=9)
    assert feed.history("^NSEI", Interval.MINUTE, ninth, ninth) == []
    assert len(feed.history("^NSEI", Interval.MINUTE, ninth, NEVER)) == 1


def test_candles_include_skipped_ticks() -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(0, 1), tick(60, 2), tick(120, 3)], clock)
    feed.skip_to(OPENING + timedelta(seconds=60))

    assert [each.open for each in history(feed)] == [1, 2]


def test_an_unrecorded_symbol_has_no_candles() -> None:
    feed = ReplayFeed([tick(0, 1)], ManualClock())

    assert feed.history("TCS.NS", Interval.DAY, LONG_AGO, NEVER) == []


def test_a_symbol_with_only_future_ticks_has_no_candles() -> None:
    feed = ReplayFeed([tick(0, 1), tick(50, 2, "TCS.NS")], ManualClock())

    assert feed.history("TCS.NS", Interval.DAY, LONG_AGO, NEVER) == []
    assert beginning_of(OPENING, Interval.HOUR) == OPENING - timedelta(minutes=15)
