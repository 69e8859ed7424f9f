"""The equity curve of a portfolio, from its books and the prices that this process can prove."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from time import sleep

from app.concurrency import run_blocking
from app.database.snapshots import reads_of_one_instant
from app.domain.candle import Interval, beginning_of
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
from app.domain.errors import InvalidRequest
from app.domain.money import ZERO
from app.domain.position import Position
from app.domain.statistics import Flow
from app.models import Portfolio, Season
from app.models.trade_bookings import find_bookings
from app.portfolio.flows import find_flows
from app.portfolio.service import get_portfolio, get_season
from app.portfolio.valuation import value
from app.services import now, services

# The time of a recording is another than that of the trades.
CLOCK_TOLERANCE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class EquityHistory:
    """The points of a period, oldest first; the last one is its end."""

    interval: Interval
    points: Sequence[EquityPoint]


@dataclass(frozen=True, slots=True)
class _Books:
    """What a history is worked out from, all of one instant.

    `end` is its last point, and `held` the positions then. `bookings` and `flows` are those
    between the first of the `times` of the other points and the end.
    """

    end: EquityPoint
    held: Mapping[str, Position]
    interval: Interval
    times: Sequence[datetime]
    bookings: Sequence[Booking]
    flows: Sequence[Flow]


def equity_history(
    user_id: str,
    name: str,
    season: int | None,
    period: Period,
    interval: Interval | None = None,
) -> EquityHistory:
    """Return the equity of a portfolio's season over a period until its end, or until now.

    Without a `season` it is the current one. Without an `interval` it is the shortest whose points
    are not too many; days are cut to the last MAX_POINTS. Never waits for a price. Raises NotFound
    for an unknown portfolio or season, InvalidRequest for too many points.
    """
    with reads_of_one_instant():
        portfolio = get_portfolio(user_id, name)
        books = _read_books(portfolio, get_season(portfolio, season), period, interval)
    symbols = books.held.keys() | {booking.symbol for booking in books.bookings}
    past = points_before(
        books.end,
        books.held,
        books.times,
        bookings=books.bookings,
        flows=books.flows,
        prices=_closing_prices(symbols, books.interval, books.times),
    )
    return EquityHistory(books.interval, [*reversed(run_blocking(list, past)), books.end])


def _read_books(
    portfolio: Portfolio, season: Season, period: Period, interval: Interval | None
) -> _Books:
    end, held = _end(portfolio, season)
    start = period.start(end.time, season.started_at)
    interval = interval or choose_interval(start, end.time)
    if interval is Interval.DAY:
        start = max(start, end.time - (MAX_POINTS - 2) * interval.length)
    times = times_between(start, end.time, interval)
    if len(times) >= MAX_POINTS:
        raise _too_many_points(interval, choose_interval(start, end.time))
    owner, count = (portfolio.user_id, portfolio.id), season.closed_count
    actions = services().actions
    opens = {each.id: each.opens_at for symbol in actions.symbols for each in actions.of(symbol)}
    found = find_bookings(*owner, start, end.time, closed_count=count, opens=opens)
    bookings = list(found)
    flows = [flow for flow in find_flows(portfolio, season) if start < flow.time <= end.time]
    return _Books(end, held, interval, times, bookings, flows)


def _end(portfolio: Portfolio, season: Season) -> tuple[EquityPoint, Mapping[str, Position]]:
    """Return the last point of a season, and what was held then: nothing in one that is over."""
    unrealized: Decimal | None = ZERO
    held: Mapping[str, Position] = {}
    # Another process, whose clock is ahead, may have changed it.
    time = season.ended_at or max(now(), portfolio.last_updated)
    if season.ended_at is None:
        performance = value(portfolio)
        unrealized = None if performance.unpriced else performance.active_pnl
        held = {symbol: sums for symbol, sums in portfolio.exposure.items() if sums.trades}
    deposits = season.deposits - season.withdrawals
    return EquityPoint(time, season.balance, deposits, season.total_pnl, unrealized), held


def _closing_prices(
    symbols: Collection[str], interval: Interval, times: Sequence[datetime]
) -> dict[str, ClosingPrices]:
    """Return the past prices that this process made itself: those of the simulated market.

    No candle is stored, and a real source would have to be waited for.
    """
    feed, quotes = services().feed, services().quotes
    if feed.remote or abs(feed.now() - now()) > CLOCK_TOLERANCE or not times:
        return {}
    since = beginning_of(times[0], interval) - interval.length
    prices = {}
    for symbol in filter(quotes.is_polled, symbols):
        candles = feed.history(symbol, interval, since, times[-1])
        prices[symbol] = ClosingPrices(candles, interval, services().actions.of(symbol))
        # Other requests run first.
        sleep(0)
    return prices


def _too_many_points(interval: Interval, allowed: Interval) -> InvalidRequest:
    rule = f"must be {allowed.value} or longer: a history has at most {MAX_POINTS:,} points"
    return InvalidRequest(f"`interval` {rule}.", code="invalid_range", details={"interval": rule})
