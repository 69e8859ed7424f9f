"""The guard: lets through the ticks that may be acted on, and holds the rest.

The age of a real price is counted in trading time: the last close is as good as new until the
exchange opens again, and a source that is known to be delayed has that much longer.

A tick that is too old, or too far from the last price, may be a fault of its source: a stuck
feed, a fat finger. It is held until a second source, or two further ticks of the same one, say
the same. A price that is no price at all is never let through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from app.clock import Clock
from app.domain.money import is_price
from app.domain.quote import Quote, Source
from app.logs import logger
from app.market_data.calendar import TradingCalendar

CONFIRMATIONS = 2
# How much later than the exchange a source is known to be, at most.
DELAYS: Mapping[Source, timedelta] = {Source.YAHOO: timedelta(minutes=20)}


class RejectReason(StrEnum):
    """Why a tick is not acted on."""

    NOT_A_PRICE = "not_a_price"
    STALE = "stale"
    MOVED_TOO_FAR = "moved_too_far"


@dataclass(slots=True)
class PendingTick:
    """A tick that is held, and how many others have confirmed it so far."""

    quote: Quote
    doubt: RejectReason
    confirmations: int = 0


class TickFilter:
    def __init__(
        self,
        clock: Clock,
        *,
        oldest: timedelta,
        largest_move: Decimal,
        calendar: TradingCalendar | None = None,
        delays: Mapping[Source, timedelta] | None = None,
    ) -> None:
        """Hold ticks older than `oldest`, or further from the last than `largest_move` of it.

        Without `calendar`, real prices age by night as well. `delays` are added to `oldest`.
        """
        self._clock = clock
        self._oldest = oldest
        self._calendar = calendar
        self._delays = delays or {}
        self._largest_move = largest_move
        self._last: dict[tuple[str, str], Quote] = {}
        # How late, in trading time, the last late tick of a symbol was, and whose it was.
        self._known_late: dict[str, tuple[Source, timedelta]] = {}
        self.suspicions: dict[str, PendingTick] = {}
        self.held: Counter[RejectReason] = Counter()

    def remember(self, quotes: Iterable[Quote]) -> None:
        """Measure the first ticks against the last real prices of an earlier run.

        A simulation or a recording may begin anew at any price.
        """
        real = [each for each in quotes if each.source.is_real and is_price(each.price)]
        self._last.update({_market_of(each): each for each in real})

    def admit(self, ticks: Iterable[Quote]) -> list[Quote]:
        """Return those of the ticks that may be acted on, in their order."""
        return [tick for tick in ticks if self._admits(tick)]

    def holds(self, quote: Quote) -> bool:
        """Return whether this very quote awaits confirmation."""
        suspicion = self.suspicions.get(quote.symbol)
        return suspicion is not None and suspicion.quote == quote

    def age(self, quote: Quote) -> timedelta:
        """Return the age of a quote: of a real one what lay in trading hours."""
        now = self._clock.now()
        age = quote.age(now)
        if self._calendar is None or not quote.source.is_real or age <= self.oldest(quote):
            return age
        # Computed only for what looks old: the first question loads the calendar.
        return self._calendar.trading_time(quote.timestamp, now)

    def oldest(self, quote: Quote) -> timedelta:
        """Return the age up to which a quote of this symbol and source is acted on."""
        source, lateness = self._known_late.get(quote.symbol, (None, timedelta(0)))
        late = lateness if source is quote.source else timedelta(0)
        return self._oldest + max(self._delays.get(quote.source, timedelta(0)), late)

    def _admits(self, tick: Quote) -> bool:
        doubt = self._doubt(tick)
        if doubt is not None and not self._is_confirmed(tick, doubt):
            self.held[doubt] += 1
            return False
        if doubt is RejectReason.STALE:
            # A source that is always late, such as a delayed one, has been confirmed once.
            self._known_late[tick.symbol] = (tick.source, self.age(tick))
        elif not self._is_old(tick):
            self._known_late.pop(tick.symbol, None)
        suspicion = self.suspicions.get(tick.symbol)
        if suspicion and _market_of(suspicion.quote) == _market_of(tick):
            del self.suspicions[tick.symbol]
        self._last[_market_of(tick)] = tick
        return True

    def _doubt(self, tick: Quote) -> RejectReason | None:
        if not is_price(tick.price):
            return RejectReason.NOT_A_PRICE
        if self._has_moved_too_far(tick, self._last.get(_market_of(tick))):
            return RejectReason.MOVED_TOO_FAR
        late = self._known_late.get(tick.symbol, (None,))[0] is tick.source
        if not late and self._is_old(tick):
            return RejectReason.STALE
        return None

    def is_older(self, quote: Quote, limit: timedelta) -> bool:
        """Return whether a quote is older than `limit`, in trading time if its price is real.

        A recorded one never is: its times are of the past, and are its present.
        """
        now = self._clock.now()
        if quote.source is Source.REPLAY or now - quote.timestamp <= limit:
            return False
        if self._calendar is None or not quote.source.is_real:
            return True
        # Asked for only what looks old: the first question loads the calendar.
        return self._calendar.trading_time(quote.timestamp, now) > limit

    def _is_old(self, tick: Quote) -> bool:
        return self.is_older(tick, self._oldest + self._delays.get(tick.source, timedelta(0)))

    def _has_moved_too_far(self, tick: Quote, last: Quote | None) -> bool:
        if last is None:
            return False
        return abs(tick.price - last.price) > self._largest_move * last.price

    def _is_confirmed(self, tick: Quote, doubt: RejectReason) -> bool:
        """Count `tick` as confirming what is held of its symbol; tell whether that suffices."""
        if doubt is RejectReason.NOT_A_PRICE:
            logger.warning("ignored a price of %s for %s", tick.price, tick.symbol)
            return False
        suspicion = self.suspicions.get(tick.symbol)
        if (
            suspicion is None
            or _market_of(tick) != _market_of(suspicion.quote)
            or self._has_moved_too_far(tick, suspicion.quote)
        ):
            self.suspicions[tick.symbol] = PendingTick(tick, doubt)
            logger.warning("holding %s at %s: %s", tick.symbol, tick.price, doubt.value)
            return False
        if tick.source is not suspicion.quote.source:
            return True
        if suspicion.quote.timestamp > max(tick.timestamp, self._clock.now()):
            # The clock was set back since: what is held begins anew, by the clock as it is now.
            suspicion.quote, suspicion.confirmations = tick, 0
            return False
        if tick == suspicion.quote or tick.timestamp < suspicion.quote.timestamp:
            # The same again, as a stuck feed repeats it, confirms nothing.
            return False
        suspicion.quote = tick
        suspicion.confirmations += 1
        return suspicion.confirmations >= CONFIRMATIONS


def _market_of(tick: Quote) -> tuple[str, str]:
    # One market's price says nothing about another's: the real one, a recording, a simulation.
    return tick.symbol, "real" if tick.source.is_real else tick.source.value
