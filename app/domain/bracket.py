"""The bracket: an entry with an optional stop-loss and target, and the exits that prices cause.

A bracket of either side closes when the price falls to `trigger_below` or rises to
`trigger_above`. Both are stored with the trade, so queries find the trades that a tick closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from app.domain.candle import Candle
from app.domain.errors import WrongSideOfPrice
from app.domain.money import ZERO
from app.domain.quote import Posting, Quote, Source
from app.domain.triggers import SettledFrom


class TradeType(StrEnum):
    """The direction of a trade."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 if a rising price earns, -1 if it costs."""
        return 1 if self is TradeType.BUY else -1


class ExitReason(StrEnum):
    """Why a trade was closed: by its user, its stop-loss or its target."""

    USER = "user"
    STOP_LOSS = "stop_loss"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Exit:
    """How a bracket ended: why, at which quote, and the rupees realized."""

    reason: ExitReason
    quote: Quote
    pnl: Decimal
    settled_from: SettledFrom | None = None

    @property
    def price(self) -> Decimal:
        return self.quote.price


@dataclass(frozen=True, slots=True)
class Bracket:
    """An entry at a quote with its protective levels. Prices are rupees in whole paise."""

    trade_type: TradeType
    quantity: int
    entry_price: Decimal
    entry_source: Source
    entry_timestamp: datetime
    stop_loss: Decimal | None = None
    target_price: Decimal | None = None
    # None for a trade of an earlier version.
    entry_posting: Posting | None = None

    @classmethod
    def open(
        cls,
        trade_type: TradeType,
        quantity: int,
        quote: Quote,
        *,
        stop_loss: Decimal | None = None,
        target_price: Decimal | None = None,
    ) -> Bracket:
        """Enter at `quote`; raise WrongSideOfPrice for a level that would trigger immediately."""
        buying = trade_type is TradeType.BUY
        for field, level, below in (
            ("stop_loss", stop_loss, buying),
            ("target_price", target_price, not buying),
        ):
            if level is not None and (level >= quote.price if below else level <= quote.price):
                raise WrongSideOfPrice(field, level, "below" if below else "above", quote.price)
        return cls(
            trade_type=trade_type,
            quantity=quantity,
            entry_price=quote.price,
            entry_source=quote.source,
            entry_timestamp=quote.timestamp,
            stop_loss=stop_loss,
            target_price=target_price,
            entry_posting=quote.posting,
        )

    @property
    def trigger_below(self) -> Decimal | None:
        """The price at or under which the bracket closes."""
        return self.stop_loss if self.trade_type is TradeType.BUY else self.target_price

    @property
    def trigger_above(self) -> Decimal | None:
        """The price at or over which the bracket closes."""
        return self.target_price if self.trade_type is TradeType.BUY else self.stop_loss

    def pnl_at(self, price: Decimal) -> Decimal:
        """Return the rupees earned, or lost if negative, by closing at `price`."""
        # Adding zero turns the -0.00 of a sell that ends at its entry price into 0.00.
        return (price - self.entry_price) * self.quantity * self.trade_type.sign + ZERO

    def may_exit_at(self, quote: Quote) -> bool:
        """Return whether `quote` may close it: a real entry never exits at a mock price."""
        return quote.counts_for(self.entry_source)

    def _follows(self, quote: Quote) -> bool:
        return quote.precedes(self.entry_source, self.entry_timestamp, self.entry_posting)

    def exit_at(
        self, quote: Quote, reason: ExitReason, settled_from: SettledFrom | None = None
    ) -> Exit:
        """Close at `quote` for `reason`."""
        return Exit(reason, quote, self.pnl_at(quote.price), settled_from)

    def triggered_by(self, quote: Quote, settled_from: SettledFrom | None = None) -> Exit | None:
        """Return the exit that `quote` causes, None if it causes none or precedes the entry."""
        if not self.may_exit_at(quote) or self._follows(quote):
            return None
        stops_below = self.trade_type is TradeType.BUY
        if self.trigger_below is not None and quote.price <= self.trigger_below:
            reason = ExitReason.STOP_LOSS if stops_below else ExitReason.TARGET
        elif self.trigger_above is not None and quote.price >= self.trigger_above:
            reason = ExitReason.TARGET if stops_below else ExitReason.STOP_LOSS
        else:
            return None
        return self.exit_at(quote, reason, settled_from)

    def triggered_in(self, candle: Candle) -> Exit | None:
        """Return the exit that a price in `candle` caused, None if none did.

        If the candle opened beyond a level, the exit is at the open; if it reached a level later,
        at the level. If it holds both levels, their order is unknown, and the stop-loss counts.
        A candle that began before the entry is ignored: its prices may precede the entry.
        """
        if candle.time < self.entry_timestamp:
            return None
        opening = self.triggered_by(candle.quote_at(candle.open), SettledFrom.GAP)
        if opening is not None:
            return opening
        for level in (self.stop_loss, self.target_price):
            if level is not None and candle.low <= level <= candle.high:
                return self.triggered_by(candle.quote_at(level), SettledFrom.GAP)
        return None
