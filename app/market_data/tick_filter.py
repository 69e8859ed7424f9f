"""The tick filter: admits ticks that may trigger trades, and rejects the rest.

A tick that is too old, or too far from the last price, may be a fault of its source, such as a
stuck feed or a fat finger. It stays pending until a second source, or two more ticks of the same
source, confirm it. Impossible prices are never admitted.

Real prices age in trading time: the last close stays as good as new until the exchange opens
again. Sources with a known delay get that much more time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from app.clock import Clock
from app.domain.corporate_actions import divide
from app.domain.money import is_price
from app.domain.quote import DELAYED_SOURCES, MAX_DELAY, Quote, Source
from app.logs import logger
from app.market_data.calendar import TradingCalendar

CONFIRMATIONS = 2
# The maximum known delay of a source behind the exchange.
DELAYS: Mapping[Source, timedelta] = dict.fromkeys(DELAYED_SOURCES, MAX_DELAY)


# (symbol, since, until): the factors by which a price may have been divided between two times.
Factors = Callable[[str, datetime, datetime], Sequence[Fraction]]


def no_factors(_symbol: str, _since: datetime, _until: datetime) -> Sequence[Fraction]:
    """Return that no price was divided."""
    return ()


class RejectReason(StrEnum):
    """Why a tick is rejected."""

    NOT_A_PRICE = "not_a_price"
    STALE = "stale"
    MOVED_TOO_FAR = "moved_too_far"


@dataclass(slots=True)
class PendingTick:
    """A rejected tick, and how many others have confirmed it so far."""

    quote: Quote
    reason: RejectReason
    confirmations: int = 0


class TickFilter:
    """`pending` holds the tick that awaits confirmation, by symbol; `rejected` counts reasons."""

    def __init__(
        self,
        clock: Clock,
        *,
        max_age: timedelta,
        max_move: Decimal,
        calendar: TradingCalendar | None = None,
        delays: Mapping[Source, timedelta] | None = None,
        factors: Factors = no_factors,
    ) -> None:
        """Reject ticks older than `max_age`, or further from the last price than its `max_move`.

        `max_move` is a fraction. Without a `calendar`, real prices age at night as well. `delays`
        are added to `max_age`. `factors` are those of corporate actions, after which a price may
        be a fraction of the last one.
        """
        self._clock = clock
        self._max_age = max_age
        self._calendar = calendar
        self._delays = delays or {}
        self._max_move = max_move
        self._factors = factors
        self._last: dict[tuple[str, str], Quote] = {}
        # The source and the age, in trading time, of the last admitted late tick of a symbol.
        self._known_late: dict[str, tuple[Source, timedelta]] = {}
        self.pending: dict[str, PendingTick] = {}
        self.rejected: Counter[RejectReason] = Counter()

    def remember(self, quotes: Iterable[Quote]) -> None:
        """Compare the first ticks with the last real prices of an earlier run.

        A simulation or a recording may start again at any price.
        """
        real = [quote for quote in quotes if quote.source.is_real and is_price(quote.price)]
        self._last.update({_market_of(quote): quote for quote in real})

    def admit(self, ticks: Iterable[Quote]) -> list[Quote]:
        """Return the ticks that may trigger trades, in order."""
        return [tick for tick in ticks if self._admits(tick)]

    def is_pending(self, quote: Quote) -> bool:
        """Return whether this very quote awaits confirmation."""
        pending = self.pending.get(quote.symbol)
        return pending is not None and pending.quote == quote

    def pending_after(self, quote: Quote) -> PendingTick | None:
        """Return the tick of the symbol, other than `quote`, that awaits confirmation."""
        return None if self.is_pending(quote) else self.pending.get(quote.symbol)

    def age(self, quote: Quote) -> timedelta:
        """Return the age of a quote, in trading time if it is real and looks too old."""
        age = quote.age(self._clock.now())
        if not quote.source.is_real or age <= self.max_age(quote):
            return age
        return self._trading_age(quote)

    def max_age(self, quote: Quote) -> timedelta:
        """Return the age up to which orders are accepted at a quote of this symbol and source."""
        source, lateness = self._known_late.get(quote.symbol, (None, timedelta(0)))
        late = lateness if source is quote.source else timedelta(0)
        return self._max_age + max(self._delays.get(quote.source, timedelta(0)), late)

    def is_older(self, quote: Quote, limit: timedelta) -> bool:
        """Return whether a quote is older than `limit`, in trading time if it is real.

        A recorded quote never is: its time is the recording's own.
        """
        if quote.source is Source.REPLAY or self._clock.now() - quote.timestamp <= limit:
            return False
        return not quote.source.is_real or self._trading_age(quote) > limit

    def _trading_age(self, quote: Quote) -> timedelta:
        # Called only for quotes that look old, because the first call loads the calendar.
        now = self._clock.now()
        if self._calendar is None:
            return now - quote.timestamp
        return self._calendar.trading_time(quote.timestamp, now)

    def _admits(self, tick: Quote) -> bool:
        reason = self._reject_reason(tick)
        if reason is not None and not self._is_confirmed(tick, reason):
            self.rejected[reason] += 1
            return False
        if reason is RejectReason.STALE:
            # A source that is always late is confirmed only once.
            self._known_late[tick.symbol] = (tick.source, self.age(tick))
        elif not self._is_old(tick):
            self._known_late.pop(tick.symbol, None)
        pending = self.pending.get(tick.symbol)
        if pending and _market_of(pending.quote) == _market_of(tick):
            del self.pending[tick.symbol]
        self._last[_market_of(tick)] = tick
        return True

    def _reject_reason(self, tick: Quote) -> RejectReason | None:
        if not is_price(tick.price):
            return RejectReason.NOT_A_PRICE
        last = self._last.get(_market_of(tick))
        if not tick.is_confirmed and self._has_moved_too_far(tick, last):
            return RejectReason.MOVED_TOO_FAR
        late = self._known_late.get(tick.symbol, (None,))[0] is tick.source
        if not late and self._is_old(tick):
            return RejectReason.STALE
        return None

    def _is_old(self, tick: Quote) -> bool:
        return self.is_older(tick, self._max_age + self._delays.get(tick.source, timedelta(0)))

    def _has_moved_too_far(self, tick: Quote, last: Quote | None) -> bool:
        if last is None or self._is_near(tick, last.price):
            return False
        factors = self._factors(tick.symbol, last.timestamp, tick.timestamp)
        return not any(self._is_near(tick, divide(last.price, factor)) for factor in factors)

    def _is_near(self, tick: Quote, price: Decimal) -> bool:
        return abs(tick.price - price) <= self._max_move * price

    def _is_confirmed(self, tick: Quote, reason: RejectReason) -> bool:
        """Count `tick` towards the pending tick; return whether that is now confirmed."""
        if reason is RejectReason.NOT_A_PRICE:
            logger.warning("ignored a price of %s for %s", tick.price, tick.symbol)
            return False
        pending = self.pending.get(tick.symbol)
        if (
            pending is None
            or _market_of(tick) != _market_of(pending.quote)
            or self._has_moved_too_far(tick, pending.quote)
        ):
            self.pending[tick.symbol] = PendingTick(tick, reason)
            logger.warning("holding %s at %s: %s", tick.symbol, tick.price, reason.value)
            return False
        if tick.source is not pending.quote.source:
            return True
        if pending.quote.timestamp > max(tick.timestamp, self._clock.now()):
            # The clock was set back, so confirmation restarts with this tick.
            pending.quote, pending.confirmations = tick, 0
            return False
        if tick == pending.quote or tick.timestamp < pending.quote.timestamp:
            # A stuck feed repeats itself, which confirms nothing.
            return False
        pending.quote = tick
        pending.confirmations += 1
        return pending.confirmations >= CONFIRMATIONS


def _market_of(tick: Quote) -> tuple[str, str]:
    # Real, recorded and simulated prices of a symbol have nothing to do with each other.
    return tick.symbol, "real" if tick.source.is_real else tick.source.value
