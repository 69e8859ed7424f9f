"""The prices of a session: which ones count, which one opens it, and which one its auction made.

A limit that rests when a session opens beyond it is filled at the first price, which is better than
the limit. Nothing is traded in the pre-open session, nor while a closing auction takes orders.
Without enforced hours there are no sessions, and every price counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from app.domain.candle import Candle
from app.domain.quote import MAX_DELAY, Quote, Source
from app.market_data.auctions import ClosingAuctions
from app.market_data.calendar import Session, TradingCalendar

# A source repeats the last trade until the auction has made a price. At the end of the auction
# the price is that of the auction, even if it is the same.
REPEATED_UNTIL = timedelta(minutes=1)


class SessionPrices:
    def __init__(
        self,
        calendar: TradingCalendar,
        auctions: ClosingAuctions,
        began: datetime,
        traded: Iterable[Quote] = (),
    ) -> None:
        """Mark ticks from `began` on; earlier ones are those of another process.

        `traded` are the last quotes before that, as far as they are known.
        """
        self._calendar = calendar
        self._auctions = auctions
        self._began = began
        self._last: dict[str, datetime] = {}
        # The last price of each symbol before its auction made one.
        self._traded: dict[str, Decimal] = {quote.symbol: quote.price for quote in traded}

    def restart(self, began: datetime) -> None:
        """Forget the last ticks: what came before `began` is settled from candles."""
        self._began = began
        self._last.clear()
        self._traded.clear()

    def mark(self, ticks: Sequence[Quote], now: datetime, reached: datetime) -> Sequence[Quote]:
        """Return the ticks that count, in order, each marked as what it is in its session.

        `reached` is the feed's time at `now`. Recorded ticks count by their own time alone.
        """
        if not self._calendar.enforced:
            return ticks
        is_open = self._calendar.is_open(now)
        marked = (self._mark(tick, reached, is_open=is_open) for tick in ticks)
        return [tick for tick in marked if tick]

    def _mark(self, tick: Quote, reached: datetime, *, is_open: bool) -> Quote | None:
        if session := self._auctions.matching(tick.symbol, tick.timestamp):
            return self._auction_price(tick, session, reached)
        self._traded[tick.symbol] = tick.price
        is_collecting = self._auctions.collects(tick.symbol, tick.timestamp)
        is_open = is_open or tick.source is Source.REPLAY
        if not is_open or is_collecting or not self._calendar.is_open(tick.timestamp):
            return None
        last = self._last.get(tick.symbol, self._began)
        self._last[tick.symbol] = max(last, tick.timestamp)
        opens = self._calendar.opens_between(last, tick.timestamp)
        return replace(tick, opens_session=True) if opens else tick

    def _auction_price(self, tick: Quote, session: Session, reached: datetime) -> Quote | None:
        """Return a tick as the price of the auction, None if it may be an older one."""
        is_repeated = tick.price == self._traded.get(tick.symbol, tick.price)
        is_early = tick.timestamp < session.end - REPEATED_UNTIL
        if tick.source.is_real and is_repeated and is_early:
            return None
        # The last price of yesterday is no price of this morning.
        is_of_today = tick.source is Source.REPLAY or reached < session.end + MAX_DELAY
        return replace(tick, in_auction=True) if is_of_today else None


def mark_candles(
    candles: Sequence[Candle],
    since: datetime,
    calendar: TradingCalendar,
    auctions: ClosingAuctions,
) -> list[Candle]:
    """Return the candles of a symbol after `since` that count, each marked as ticks are."""
    marked = []
    for candle in candles:
        if auctions.matching(candle.symbol, candle.time):
            marked.append(replace(candle, in_auction=True))
        elif auctions.collects(candle.symbol, candle.time):
            continue
        elif calendar.trading_allowed(candle.time):
            opens = calendar.enforced and calendar.opens_between(since, candle.time)
            marked.append(replace(candle, opens_session=True) if opens else candle)
            since = candle.time
    return marked
