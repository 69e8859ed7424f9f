"""A replay that continues after a restart, and its candles of the time it was down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.quote import Quote, Source
from app.market_data.feeds.replay import ReplayFeed, fingerprint
from tests.support.market import ManualClock

OPENING = datetime(2026, 1, 5, 3, 45, tzinfo=UTC)


def tick(seconds: float, price: int, symbol: str = "^NSEI") -> Quote:
    time = OPENING + timedelta(seconds=seconds)
    return Quote(symbol, Decimal(price), Source.REPLAY, time)


def at(seconds: float) -> datetime:
    return OPENING + timedelta(seconds=seconds)


# One tick every ten seconds for five minutes.
TICKS = [tick(10 * n, 25_000 + n) for n in range(31)]


def prices(ticks: list[Quote]) -> list[int]:
    return [int(tick.price) for tick in ticks]


def test_a_restarted_replay_is_where_it_would_be_without_the_restart(
    clock: ManualClock,
) -> None:
    began_at = clock.now()
    clock.advance(42)
    feed = ReplayFeed(TICKS, clock, speed=2, began_at=began_at)

    assert feed.now() == at(84)
    latest = feed.latest("^NSEI")
    assert latest is not None
    assert latest == tick(80, 25_008)


def test_a_clock_that_was_set_back_does_not_move_the_replay_before_its_start(
    clock: ManualClock,
) -> None:
    feed = ReplayFeed(TICKS, clock, began_at=clock.now() + timedelta(hours=1))
    assert feed.now() == at(0)


def test_a_replay_resumed_after_years_is_at_its_end(clock: ManualClock) -> None:
    began_at = datetime(1990, 1, 1, tzinfo=UTC)
    feed = ReplayFeed(TICKS, clock, speed=1e9, began_at=began_at)
    assert feed.now() == feed.last_time == at(300)


def test_skipping_returns_only_the_ticks_after_a_time(clock: ManualClock) -> None:
    feed = ReplayFeed(TICKS, clock)
    clock.advance(60)
    feed.skip_to(at(40))
    assert prices(feed.poll(["^NSEI"])) == [25_005, 25_006]


def test_skipping_back_returns_no_tick_twice(clock: ManualClock) -> None:
    feed = ReplayFeed(TICKS, clock)
    clock.advance(60)
    feed.poll(["^NSEI"])
    feed.skip_to(at(0))
    clock.advance(10)
    assert prices(feed.poll(["^NSEI"])) == [25_007]


def test_no_price_after_a_skip_is_older_than_the_ones_before(clock: ManualClock) -> None:
    feed = ReplayFeed(TICKS, clock)
    clock.advance(60)
    before = feed.latest("^NSEI")
    feed.skip_to(at(40))
    after = feed.latest("^NSEI")

    assert before is not None
    assert after == before
    assert before in feed.poll(["^NSEI"])


def test_candles_are_of_whole_minutes_after_since_and_up_to_until(clock: ManualClock) -> None:
    candles = ReplayFeed(TICKS, clock).candles("^NSEI", at(50), at(180))

    assert [candle.time for candle in candles] == [at(60), at(120), at(180)]
    assert [int(candle.open) for candle in candles] == [25_006, 25_012, 25_018]
    assert [int(candle.close) for candle in candles] == [25_011, 25_017, 25_018]
    assert {candle.source for candle in candles} == {Source.REPLAY}


def test_the_first_candle_has_only_ticks_after_since(clock: ManualClock) -> None:
    (first,) = ReplayFeed(TICKS, clock).candles("^NSEI", at(20), at(50))
    assert (first.time, first.open, first.close) == (at(30), Decimal(25_003), Decimal(25_005))


@pytest.mark.parametrize(("since", "until"), [(20, 29), (300, 900), (-90, -1), (60, 60)])
def test_a_time_without_ticks_has_no_candles(
    clock: ManualClock, since: float, until: float
) -> None:
    assert ReplayFeed(TICKS, clock).candles("^NSEI", at(since), at(until)) == []


def test_candles_are_of_one_symbol_only(clock: ManualClock) -> None:
    feed = ReplayFeed([*TICKS, tick(30, 80_000, "^BSESN")], clock)
    (candle,) = feed.candles("^BSESN", at(0), at(300))
    assert (candle.symbol, candle.high, candle.low) == ("^BSESN", Decimal(80_000), Decimal(80_000))
    assert feed.candles("RELIANCE.NS", at(0), at(300)) == []


def test_each_tick_is_in_either_candles_or_polls(clock: ManualClock) -> None:
    feed = ReplayFeed(TICKS, clock)
    clock.advance(125)
    reached = feed.now()
    missed = feed.candles("^NSEI", at(0), reached)
    feed.skip_to(reached)
    clock.advance(1_000)

    assert int(missed[-1].close) == 25_012
    assert prices(feed.poll(["^NSEI"])) == list(range(25_013, 25_031))


def test_a_recording_is_identified_by_its_ticks() -> None:
    assert fingerprint(TICKS) == fingerprint([tick(10 * n, 25_000 + n) for n in range(31)])
    assert fingerprint(TICKS) != fingerprint(TICKS[:-1])
    assert fingerprint(TICKS) != fingerprint([*TICKS[:-1], tick(300, 1)])
    assert fingerprint(TICKS) != fingerprint([*TICKS[:-1], tick(301, 25_030)])
