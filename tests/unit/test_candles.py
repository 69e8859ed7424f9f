"""Candles of a gap: which of them close a bracket, and at which price."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.bracket import Bracket
from app.domain.candle import Candle, Interval, aggregate
from app.domain.candle_exits import exit_in
from app.domain.fill import Exit, ExitReason
from app.domain.quote import Quote, Source
from app.domain.side import TradeType
from app.domain.triggers import SettledFrom
from app.market_data.leader import format_history, parse_history
from tests.support.quotes import prices_of

ENTRY = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
LATER = ENTRY + timedelta(minutes=3)
STOP = ExitReason.STOP_LOSS
TARGET = ExitReason.TARGET


def candle(*prices: int, time: datetime = LATER, source: Source = Source.REPLAY) -> Candle:
    return Candle.of([Quote("^NSEI", Decimal(price), source, time) for price in prices])


def buy(source: Source = Source.REPLAY) -> Bracket:
    return _open(TradeType.BUY, 90, 120, source)


def sell(source: Source = Source.REPLAY) -> Bracket:
    return _open(TradeType.SELL, 120, 90, source)


def _open(trade_type: TradeType, stop: int, target: int, source: Source) -> Bracket:
    return Bracket.open(
        trade_type,
        10,
        Quote("^NSEI", Decimal(100), source, ENTRY),
        stop_loss=Decimal(stop),
        target_price=Decimal(target),
    )


def test_a_candle_is_made_of_ticks_in_their_order() -> None:
    times = [LATER + timedelta(seconds=n) for n in range(4)]
    ticks = [
        Quote("^NSEI", Decimal(price), Source.REPLAY, time)
        for price, time in zip((100, 105, 95, 101), times, strict=True)
    ]
    made = Candle.of(ticks)

    assert prices_of(made) == (100, 105, 95, 101)
    assert (made.symbol, made.time, made.source) == ("^NSEI", LATER, Source.REPLAY)
    assert made.quote_at(Decimal(99)) == Quote("^NSEI", Decimal(99), Source.REPLAY, LATER)


def test_a_longer_candle_has_the_volume_of_its_parts_that_is_known() -> None:
    parts = [
        replace(candle(100, time=ENTRY + timedelta(minutes=minute)), volume=volume)
        for minute, volume in ((0, 70), (1, None), (2, 50), (5, None))
    ]

    first, second = aggregate(parts, Interval.FIVE_MINUTES)

    assert (first.volume, second.volume) == (120, None)


def test_candles_of_another_process_keep_their_volume() -> None:
    sent = (replace(candle(100, 105), volume=70), candle(100, 95))

    assert parse_history("^NSEI", format_history(sent)) == sent


@pytest.mark.parametrize(
    ("bracket", "prices", "reason", "price"),
    [
        (buy(), (100, 85, 95), STOP, 90),
        (buy(), (100, 90, 95), STOP, 90),
        (buy(), (100, 125, 110), TARGET, 120),
        (buy(), (100, 120, 110), TARGET, 120),
        (sell(), (100, 125, 110), STOP, 120),
        (sell(), (100, 120, 110), STOP, 120),
        (sell(), (100, 85, 95), TARGET, 90),
        (sell(), (100, 90, 95), TARGET, 90),
    ],
)
def test_a_level_inside_the_candle_is_met_at_the_level(
    bracket: Bracket, prices: tuple[int, ...], reason: ExitReason, price: int
) -> None:
    assert _outcome(exit_in(candle(*prices), bracket)) == (reason, price)


@pytest.mark.parametrize("bracket", [buy(), sell()])
@pytest.mark.parametrize("prices", [(100, 130, 80, 100), (100, 80, 130, 100)])
def test_a_candle_that_reached_both_levels_closes_at_the_stop_loss(
    bracket: Bracket, prices: tuple[int, ...]
) -> None:
    assert _outcome(exit_in(candle(*prices), bracket)) == (STOP, bracket.stop_loss)


@pytest.mark.parametrize(
    ("bracket", "prices", "reason"),
    [
        (buy(), (80, 85, 75), STOP),
        (buy(), (130, 135), TARGET),
        (sell(), (130, 135), STOP),
        (sell(), (80, 85, 75), TARGET),
        # The order is known here: the market opened beyond a level.
        (buy(), (130, 80), TARGET),
        (sell(), (80, 130), TARGET),
    ],
)
def test_a_level_passed_before_the_open_closes_a_stop_at_the_open_and_a_target_at_its_price(
    bracket: Bracket, prices: tuple[int, ...], reason: ExitReason
) -> None:
    price = bracket.target_price if reason is TARGET else prices[0]
    assert _outcome(exit_in(candle(*prices), bracket)) == (reason, price)


@pytest.mark.parametrize(("bracket", "price"), [(buy(), 130), (sell(), 80)])
def test_a_session_that_opens_beyond_the_target_closes_at_its_first_price(
    bracket: Bracket, price: int
) -> None:
    opening = replace(candle(price), opens_session=True)

    assert _outcome(exit_in(opening, bracket)) == (TARGET, price)
    assert _outcome(bracket.triggered_by(opening.opening)) == (TARGET, price)


@pytest.mark.parametrize("bracket", [buy(), sell()])
def test_a_candle_between_the_levels_does_nothing(bracket: Bracket) -> None:
    assert exit_in(candle(100, 119, 91, 100), bracket) is None


@pytest.mark.parametrize("trade_type", TradeType)
def test_no_candle_closes_a_bracket_without_levels(trade_type: TradeType) -> None:
    bracket = Bracket.open(trade_type, 1, Quote("^NSEI", Decimal(100), Source.REPLAY, ENTRY))
    assert exit_in(candle(100, 1, 1_000_000), bracket) is None


@pytest.mark.parametrize("bracket", [buy(), sell()])
@pytest.mark.parametrize("seconds", [-3600, -0.001])
def test_a_candle_that_began_before_the_entry_does_nothing(
    bracket: Bracket, seconds: float
) -> None:
    began = ENTRY + timedelta(seconds=seconds)
    assert exit_in(candle(100, 130, 80, time=began), bracket) is None


def test_no_simulated_candle_closes_a_real_trade() -> None:
    assert exit_in(candle(80, 130, source=Source.MOCK), buy(Source.YAHOO)) is None
    assert exit_in(candle(100, 130, 80, source=Source.MOCK), buy(Source.YAHOO)) is None
    real = exit_in(candle(80, source=Source.ANGEL_ONE), buy(Source.YAHOO))
    assert _outcome(real) == (STOP, 80)
    simulated = exit_in(candle(100, 80, source=Source.MOCK), buy(Source.MOCK))
    assert _outcome(simulated) == (STOP, 90)


def test_the_exit_has_the_time_of_the_candle_and_names_the_gap() -> None:
    exit = exit_in(candle(100, 85, 95), buy())

    assert exit is not None
    assert exit.settled_from is SettledFrom.GAP
    assert exit.quote == Quote("^NSEI", Decimal(90), Source.REPLAY, LATER)
    assert exit.pnl == -100


def _outcome(exit: Exit | None) -> tuple[ExitReason, Decimal | int] | None:
    return (exit.reason, exit.price) if exit else None
