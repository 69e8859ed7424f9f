"""Scenarios of the simulated market: what happens from a moment on, and nothing before it."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal

import pytest

from app.domain.candle import Interval, aggregate, beginning_of
from app.market_data.feeds.scenarios import Scenario, ScenarioKind
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.feeds.simulated_hours import seconds_of
from app.market_data.instruments.registry import load_instruments
from tests.support.market import ManualClock

INSTRUMENTS = load_instruments()
SYMBOLS = ("^NSEI", "^BSESN", "ITC.NS", "TATASTEEL.NS")


def market(clock: ManualClock, *scenarios: Scenario) -> SimulatedFeed:
    feed = SimulatedFeed(INSTRUMENTS, clock, seed="7")
    feed.set_scenarios(scenarios)
    return feed


def price(feed: SimulatedFeed, symbol: str = "^NSEI") -> Decimal:
    quote = feed.latest(symbol)
    assert quote is not None
    return quote.price


def starting(kind: ScenarioKind, clock: ManualClock, seconds: int = 1) -> Scenario:
    return Scenario(kind, math.floor(seconds_of(clock.now())) + seconds)


def moved_by(kind: ScenarioKind, symbol: str = "^NSEI", seconds: float | None = None) -> float:
    """Return the log return by which a scenario moves a symbol, by default at its end."""
    clock = ManualClock()
    quiet, stirred = market(clock), market(clock, starting(kind, clock))
    clock.advance(kind.seconds + 1 if seconds is None else seconds)
    return math.log(price(stirred, symbol) / price(quiet, symbol))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (ScenarioKind.CRASH, -0.09),
        (ScenarioKind.RALLY, 0.06),
        (ScenarioKind.GAP_DOWN, -0.05),
        (ScenarioKind.HALT, 0),
        (ScenarioKind.CHOPPY, 0),
    ],
)
def test_a_scenario_moves_the_market(kind: ScenarioKind, expected: float) -> None:
    assert moved_by(kind) == pytest.approx(expected, rel=0.06, abs=0.0005)


def test_shares_follow_by_their_beta() -> None:
    assert moved_by(ScenarioKind.CRASH, "ITC.NS") == pytest.approx(-0.09 * 0.68, abs=0.001)
    assert moved_by(ScenarioKind.CRASH, "TATASTEEL.NS") == pytest.approx(-0.09 * 1.25, abs=0.001)


def test_a_gap_down_is_there_at_once() -> None:
    assert moved_by(ScenarioKind.GAP_DOWN, seconds=1) == pytest.approx(-0.04, abs=0.002)


@pytest.mark.parametrize("kind", ScenarioKind)
def test_nothing_changes_before_it(kind: ScenarioKind) -> None:
    clock = ManualClock()
    feed = market(clock)
    prices = [price(feed, symbol) for symbol in SYMBOLS]
    since = clock.now() - timedelta(days=2)
    past = {
        interval: feed.history("TATASTEEL.NS", interval, since, clock.now())
        for interval in Interval
    }

    feed.set_scenarios((starting(kind, clock),))

    assert [price(feed, symbol) for symbol in SYMBOLS] == prices
    for interval, candles in past.items():
        assert feed.history("TATASTEEL.NS", interval, since, clock.now()) == candles


@pytest.mark.parametrize("kind", ScenarioKind)
def test_candles_have_the_prices_of_the_scenario(kind: ScenarioKind) -> None:
    clock = ManualClock()
    feed = market(clock, starting(kind, clock, 30))
    low = high = price(feed)
    since = beginning_of(clock.now(), Interval.HOUR)
    for _ in range(200):
        clock.advance(10)
        low, high = min(low, price(feed)), max(high, price(feed))

    minutes = feed.history("^NSEI", Interval.MINUTE, since, clock.now())

    assert minutes[-1].close == price(feed)
    assert min(each.low for each in minutes) <= low
    assert max(each.high for each in minutes) >= high
    for interval in (Interval.FIVE_MINUTES, Interval.QUARTER_HOUR, Interval.HOUR):
        candles = feed.history("^NSEI", interval, since, clock.now())
        assert candles == aggregate(minutes, interval)


def test_a_halt_stops_prices_and_volume_and_ends_with_a_jump() -> None:
    clock = ManualClock()
    feed = market(clock, starting(ScenarioKind.HALT, clock))
    before = feed.latest("RELIANCE.NS")
    assert before is not None
    for _ in range(14):
        clock.advance(60)
        halted = feed.latest("RELIANCE.NS")
        assert halted is not None
        assert halted.price == before.price
        assert halted.details.volume == before.details.volume
    clock.advance(120)

    after = price(feed, "RELIANCE.NS")

    assert after != before.price
    assert after == price(market(clock), "RELIANCE.NS")
    candles = feed.history(
        "RELIANCE.NS", Interval.MINUTE, clock.now() - timedelta(minutes=10), clock.now()
    )
    assert candles[0].high == candles[0].low == before.price
    assert candles[0].volume == 0


def test_a_choppy_market_swings_and_comes_back() -> None:
    swings = [moved_by(ScenarioKind.CHOPPY, seconds=60 * minute) for minute in range(1, 60, 2)]

    assert max(swings) > 0.004
    assert min(swings) < -0.004


def test_later_sessions_recover() -> None:
    days = [1, 30, 60, 400]
    falls = [moved_by(ScenarioKind.CRASH, seconds=86_400 * each) for each in days]

    assert falls[0] == pytest.approx(-0.09, rel=0.1)
    assert falls[1] == pytest.approx(-0.045, rel=0.1)
    assert falls[2] == pytest.approx(-0.0225, rel=0.1)
    assert abs(falls[3]) < 0.0001


def test_an_index_stays_what_its_shares_are_in_a_crash() -> None:
    clock = ManualClock()
    feed = market(clock, starting(ScenarioKind.CRASH, clock))
    nifty, sensex = price(feed), price(feed, "^BSESN")
    clock.advance(1_801)

    assert price(feed) / nifty == pytest.approx(
        price(feed, "^BSESN") / sensex, rel=Decimal("0.004")
    )


def test_a_poll_finds_what_another_process_has_started() -> None:
    clock = ManualClock()
    stored: list[Scenario] = []
    feed = SimulatedFeed(INSTRUMENTS, clock, seed="7", read_scenarios=lambda: tuple(stored))
    quiet = market(clock)
    stored.append(starting(ScenarioKind.CRASH, clock))
    clock.advance(600)

    (tick,) = feed.poll(["^NSEI"])

    assert float(tick.price) < float(price(quiet)) * 0.97
