"""Openings: which price of a symbol is the first in a session of the exchange.

A limit that rests when a session opens beyond it is filled at that price, which is better than the
limit. Without enforced hours there are no sessions, so no price opens one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from app.domain.candle import Candle
from app.domain.quote import Quote
from app.market_data.calendar import TradingCalendar


class Openings:
    def __init__(self, calendar: TradingCalendar, began: datetime) -> None:
        """Mark ticks from `began` on; earlier ones are those of another process."""
        self._calendar = calendar
        self._began = began
        self._last: dict[str, datetime] = {}

    def restart(self, began: datetime) -> None:
        """Forget the last ticks: what came before `began` is settled from candles."""
        self._began = began
        self._last.clear()

    def mark(self, ticks: Sequence[Quote]) -> Sequence[Quote]:
        """Return the ticks, in order, the first of each symbol in a session marked."""
        if not self._calendar.enforced:
            return ticks
        return [self._mark(tick) for tick in ticks]

    def _mark(self, tick: Quote) -> Quote:
        last = self._last.get(tick.symbol, self._began)
        self._last[tick.symbol] = max(last, tick.timestamp)
        opens = self._calendar.opens_between(last, tick.timestamp)
        return replace(tick, opens_session=True) if opens else tick


def mark_candles(
    candles: Sequence[Candle], since: datetime, calendar: TradingCalendar
) -> list[Candle]:
    """Return the candles of a symbol after `since`, the first in each session marked.

    Those from outside trading hours are left out, if these are enforced: like a tick of then, they
    trigger nothing.
    """
    marked = []
    for candle in candles:
        if not calendar.trading_allowed(candle.time):
            continue
        opens = calendar.enforced and calendar.opens_between(since, candle.time)
        marked.append(replace(candle, opens_session=True) if opens else candle)
        since = candle.time
    return marked
