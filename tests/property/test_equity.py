"""The equity curve: the same, worked out backwards, as by adding up from the beginning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.domain.candle import Candle, Interval, beginning_of
from app.domain.equity import (
    MAX_POINTS,
    Booking,
    ClosingPrices,
    EquityPoint,
    Period,
    choose_interval,
    points_before,
    times_between,
)
from app.domain.money import PAISA, ZERO
from app.domain.position import Position
from app.domain.quote import Source
from app.domain.statistics import Flow

START = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
SPAN = 600
INITIAL = Decimal(100_000)
SYMBOLS = ("^NSEI", "TCS.NS")
minutes = st.integers(1, SPAN)
moments = minutes.map(lambda minute: START + timedelta(minutes=minute))
rupees = st.integers(-10_000_00, 10_000_00).map(lambda paise: paise * PAISA)


@st.composite
def trades(draw: st.DrawFn) -> list[Booking]:
    """Draw the bookings of a trade: its entry, and its exit unless it is still open."""
    symbol, entered, quantity = (
        draw(st.sampled_from(SYMBOLS)),
        draw(minutes),
        draw(st.integers(-50, 50).filter(bool)),
    )
    opened = Position(1, quantity, quantity * draw(st.integers(90, 110)) * Decimal("1.00"))
    bookings = [Booking(START + timedelta(minutes=entered), symbol, opened)]
    if draw(st.booleans()):
        exited = START + timedelta(minutes=draw(st.integers(entered, SPAN)))
        bookings.append(Booking(exited, symbol, -opened, draw(rupees)))
    return bookings


def closes(symbol: str, prices: list[int], after: int = 0) -> ClosingPrices:
    """Return the closes of candles of an hour, the first one some hours `after` START."""
    begin = beginning_of(START, Interval.HOUR) + after * Interval.HOUR.length
    times = [begin + number * Interval.HOUR.length for number in range(len(prices))]
    values = [Decimal(price) for price in prices]
    candles = [
        Candle(symbol, time, value, value, value, value, Source.MOCK)
        for time, value in zip(times, values, strict=True)
    ]
    return ClosingPrices(candles, Interval.HOUR)


def point_at(
    time: datetime, bookings: list[Booking], flows: list[Flow], prices: dict[str, ClosingPrices]
) -> EquityPoint:
    """Return the point at `time` by adding up from the beginning."""
    past = [booking for booking in bookings if booking.time <= time]
    realized = sum((booking.pnl for booking in past), ZERO)
    deposits = sum((flow.amount for flow in flows if flow.time <= time), ZERO)
    unrealized: Decimal | None = ZERO
    for symbol in SYMBOLS:
        held = sum((booking.change for booking in past if booking.symbol == symbol), Position())
        price = prices[symbol].at(time) if held.quantity else ZERO
        if price is None or unrealized is None:
            unrealized = None
        else:
            unrealized += held.pnl_at(price)
    return EquityPoint(time, INITIAL + deposits + realized, deposits, realized, unrealized)


@given(
    st.lists(trades(), max_size=8),
    st.lists(st.builds(Flow, moments, rupees), max_size=4),
    st.lists(st.integers(90, 110), min_size=12, max_size=12),
    st.sampled_from([Interval.QUARTER_HOUR, Interval.HOUR]),
)
def test_the_points_are_what_the_books_add_up_to(
    drawn: list[list[Booking]], flows: list[Flow], prices: list[int], interval: Interval
) -> None:
    bookings = [booking for trade in drawn for booking in trade]
    # The share has no price at first.
    late = closes("TCS.NS", prices[:4], after=3)
    known = {"^NSEI": closes("^NSEI", prices), "TCS.NS": late}
    now = START + timedelta(minutes=SPAN)
    held = {
        symbol: sum(
            (booking.change for booking in bookings if booking.symbol == symbol), Position()
        )
        for symbol in SYMBOLS
    }
    live = point_at(now, bookings, flows, known)
    times = times_between(START, now, interval)

    points = points_before(live, held, times, bookings=bookings, flows=flows, prices=known)
    assert list(points)[::-1] == [point_at(time, bookings, flows, known) for time in times]


@given(moments, st.integers(0, 5_000_000), st.sampled_from(Interval))
def test_points_are_the_start_and_full_intervals_after_it(
    start: datetime, seconds: int, interval: Interval
) -> None:
    until = start + timedelta(seconds=seconds)
    times = times_between(start, until, interval)

    assert times[:1] == ([start] if seconds else [])
    assert all(beginning_of(time, interval) == time for time in times[1:])
    assert all(start < time < until for time in times[1:])
    full = int((until - start) / interval.length)
    assert min(full, MAX_POINTS) <= len(times) <= min(full + 2, MAX_POINTS)


@given(moments, st.integers(1, 50_000_000))
def test_the_chosen_interval_is_the_shortest_that_fits(start: datetime, seconds: int) -> None:
    until = start + timedelta(seconds=seconds)
    chosen = choose_interval(start, until)

    assert len(times_between(start, until, chosen)) < MAX_POINTS
    shorter = [each for each in Interval if each.length < chosen.length]
    assert all(len(times_between(start, until, each)) == MAX_POINTS for each in shorter)


@given(st.sampled_from(Period), moments, moments)
def test_no_period_begins_before_the_portfolio(
    period: Period, opened_at: datetime, now: datetime
) -> None:
    start = period.start(now, opened_at)

    assert start >= opened_at
    assert start == opened_at or period is not Period.ALL
