"""Fills: the executions of a trade, the quotes that caused them and the rules of their prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from app.domain.fill_profile import FillModel, FillProfile, Slippage
from app.domain.money import ZERO
from app.domain.quote import Quote
from app.domain.session import session_day
from app.domain.triggers import SettledFrom


class FillKind(StrEnum):
    ENTRY = "entry"
    EXIT = "exit"


class FillRule(StrEnum):
    """The rule that set the price of a fill."""

    # At the quote: an order or an exit at market, and a limit that the quote is better than.
    MARKET = "market"
    # At the tick that reached the stop.
    STOP = "stop"
    # At the limit itself, however far the tick went through it.
    LIMIT = "limit"
    # At the first price of a session that opened beyond the limit.
    OPENING = "opening"
    # At the price of the closing auction, which may be better than the limit.
    AUCTION = "auction"
    # At the stop itself: a candle reached it, and no tick tells at which price.
    CANDLE = "candle"


# The rules of what is filled at market, and pays for it in other profiles than the plain one.
SLIPPING = frozenset({FillRule.MARKET, FillRule.STOP, FillRule.CANDLE})


class ExitReason(StrEnum):
    """Why a trade was closed: by its user, a stop or its target."""

    USER = "user"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class PricePoint:
    """A price (rupees) and its time, UTC."""

    price: Decimal
    time: datetime


@dataclass(frozen=True, slots=True)
class Exit:
    """The exit of a quantity: why, at which price, and the rupees realized.

    `quote` is the one that caused it; a limit is filled at its own price. `rule` is None for a
    trade of an earlier version. `best` is the best price that a trailing stop had followed.
    """

    reason: ExitReason
    quote: Quote
    price: Decimal
    quantity: int
    pnl: Decimal
    rule: FillRule | None = None
    settled_from: SettledFrom | None = None
    best: PricePoint | None = None
    # None at the price of the plain rules.
    slippage: Slippage | None = None


@dataclass(frozen=True, slots=True)
class QueuedExit:
    """An exit that was asked for outside market hours, at the first price of the next session.

    `since` is the last known quote when it was asked for: later prices count.
    """

    quantity: int
    session: date
    since: Quote

    def counts(self, quote: Quote) -> bool:
        """Return whether a price came after it was asked for."""
        since = self.since
        if quote.posting is None and quote.timestamp < since.timestamp:
            return False
        # An auction takes no orders any more when its price is known.
        if quote.in_auction and session_day(quote) < self.session:
            return False
        return not quote.precedes(since.source, since.timestamp, since.posting)


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of a trade, as its owner sees it. `pnl` (rupees) is None for an entry.

    `model` is None for a trade of the plain profile.
    """

    kind: FillKind
    quantity: int
    price: Decimal
    time: datetime
    quote: Quote
    rule: FillRule | None
    reason: ExitReason | None = None
    pnl: Decimal | None = None
    settled_from: SettledFrom | None = None
    best: PricePoint | None = None
    model: FillModel | None = None
    slip: Slippage | None = None

    @property
    def profile(self) -> FillProfile:
        return self.model.profile if self.model else FillProfile.PLAIN

    @property
    def slippage(self) -> Decimal:
        """The rupees by which its profile made the price worse than that of its quote."""
        return self.slip.amount if self.slip else ZERO
