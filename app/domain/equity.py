"""The equity of a portfolio over time, worked out backwards from what it is now.

The books prove the balance at any time: the balance now, without what was realized, deposited and
withdrawn since. What open trades were worth then needs a price of that time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter

from app.domain.candle import Candle, Interval, first_beginning_from
from app.domain.corporate_actions import CorporateAction, divide, factor_of_all
from app.domain.money import ZERO, to_paisa
from app.domain.position import Position
from app.domain.statistics import Flow

MAX_POINTS = 1_000


class Period(StrEnum):
    """How far a history goes back."""

    DAY = "1D"
    WEEK = "1W"
    MONTH = "1M"
    QUARTER = "3M"
    HALF_YEAR = "6M"
    YEAR = "1Y"
    ALL = "ALL"

    def start(self, until: datetime, opened_at: datetime) -> datetime:
        """Return when the period up to `until` begins: not before the portfolio was opened."""
        days = _DAYS.get(self)
        return max(until - timedelta(days=days), opened_at) if days else opened_at


_DAYS = {
    Period.DAY: 1,
    Period.WEEK: 7,
    Period.MONTH: 30,
    Period.QUARTER: 91,
    Period.HALF_YEAR: 182,
    Period.YEAR: 365,
}


@dataclass(frozen=True, slots=True)
class Booking:
    """What an entry or exit changed: the open trades of a symbol, and the realized rupees."""

    time: datetime
    symbol: str
    change: Position
    pnl: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """A portfolio at `time`, UTC. Amounts are rupees.

    `net_deposits` are the deposits of the season minus its withdrawals, `balance` is the initial
    margin plus these and the realized P&L. `unrealized_pnl` is None if the books are proof of the
    balance only, because an open trade had no known price.
    """

    time: datetime
    balance: Decimal
    net_deposits: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal | None

    @property
    def equity(self) -> Decimal | None:
        """The balance and the unrealized P&L."""
        return None if self.unrealized_pnl is None else self.balance + self.unrealized_pnl


class ClosingPrices:
    """The prices at which candles of one symbol ended."""

    def __init__(
        self,
        candles: Sequence[Candle],
        interval: Interval,
        actions: Sequence[CorporateAction] = (),
    ) -> None:
        """Take candles of `interval`, oldest first, and the actions that change their units."""
        self._actions = actions
        self._ends = [candle.time + interval.length for candle in candles]
        self._closes = [candle.close for candle in candles]

    def at(self, time: datetime) -> Decimal | None:
        """Return the close of the last candle that had ended at `time`, None before the first.

        It is in the units of `time`; those of the open of an ex-date are still the ones before.
        """
        ended = bisect_right(self._ends, time)
        if not ended:
            return None
        end, close = self._ends[ended - 1], self._closes[ended - 1]
        factor = factor_of_all(each for each in self._actions if end <= each.opens_at < time)
        return close if factor == 1 else to_paisa(divide(close, factor))


def choose_interval(start: datetime, until: datetime) -> Interval:
    """Return the shortest interval whose points from `start` to `until` are not too many."""
    fits = (each for each in Interval if len(times_between(start, until, each)) < MAX_POINTS)
    return next(fits, Interval.DAY)


def times_between(start: datetime, until: datetime, interval: Interval) -> Sequence[datetime]:
    """Return the times of the points before `until`: `start`, and where candles begin after it.

    No more than MAX_POINTS, the first ones.
    """
    if start >= until:
        return []
    first = first_beginning_from(start + timedelta(microseconds=1), interval)
    between = (first + number * interval.length for number in range(MAX_POINTS - 1))
    return [start, *(time for time in between if time < until)]


def points_before(
    now: EquityPoint,
    held: Mapping[str, Position],
    times: Sequence[datetime],
    *,
    bookings: Iterable[Booking],
    flows: Iterable[Flow],
    prices: Mapping[str, ClosingPrices],
) -> Iterator[EquityPoint]:
    """Yield the points at `times`, latest first, from what the portfolio is `now` and holds.

    `bookings` and `flows` are all between the first of the `times`, which are in order, and `now`.
    `prices` may miss symbols.
    """
    open_positions = dict(held)
    realized, deposits = now.realized_pnl, now.net_deposits
    by_time = attrgetter("time")
    undone_bookings, undone_flows = sorted(bookings, key=by_time), sorted(flows, key=by_time)
    for time in reversed(times):
        while undone_bookings and undone_bookings[-1].time > time:
            booking = undone_bookings.pop()
            realized -= booking.pnl
            before = open_positions.get(booking.symbol, Position()) + -booking.change
            open_positions[booking.symbol] = before
        while undone_flows and undone_flows[-1].time > time:
            deposits -= undone_flows.pop().amount
        initial = now.balance - now.net_deposits - now.realized_pnl
        unrealized = _unrealized(open_positions, prices, time)
        yield EquityPoint(time, initial + deposits + realized, deposits, realized, unrealized)


def _unrealized(
    held: Mapping[str, Position], prices: Mapping[str, ClosingPrices], time: datetime
) -> Decimal | None:
    """Return the P&L of positions at `time`; None if one of them had no known price."""
    total = ZERO
    for symbol, position in held.items():
        # Trades that cancel each other out are worth the same at any price.
        known = prices[symbol].at(time) if symbol in prices else None
        price = known if position.quantity else ZERO
        if price is None:
            return None
        total += position.pnl_at(price)
    return total
