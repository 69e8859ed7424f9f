"""The bracket: an entry with an optional stop-loss and target, and what a quote does to it.

Whatever its side, a bracket asks one thing of the market: has the price come down to
`trigger_below`, or up to `trigger_above`? The database keeps both beside the trade, so that one
question finds what a tick closes; what then happens is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from app.domain.candle import Candle
from app.domain.errors import WrongSideOfPrice
from app.domain.money import ZERO
from app.domain.quote import Quote, Source


class TradeType(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 where a rising price earns, -1 where it costs."""
        return 1 if self is TradeType.BUY else -1


class TradeStatus(StrEnum):
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"
    STOP_LOSS_HIT = "STOP_LOSS_HIT"
    TARGET_HIT = "TARGET_HIT"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    LIQUIDATED = "LIQUIDATED"


class ExitReason(StrEnum):
    USER = "user"
    STOP_LOSS = "stop_loss"
    TARGET = "target"

    @property
    def status(self) -> TradeStatus:
        return _STATUS_AFTER[self]


class SettledFrom(StrEnum):
    """Where an exit was found, unless the quote of its moment caused it."""

    # Candles of a time without prices.
    GAP = "gap"
    # The first quote after a time without prices of which there were no candles.
    QUOTE = "quote"
    # The last known price of a share that no source has had a price of for a trading day.
    LAST_PRICE = "last_price"


_STATUS_AFTER = {
    ExitReason.USER: TradeStatus.CLOSED,
    ExitReason.STOP_LOSS: TradeStatus.STOP_LOSS_HIT,
    ExitReason.TARGET: TradeStatus.TARGET_HIT,
}


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
        """Enter at `quote`; raise WrongSideOfPrice for a level that would trigger at once."""
        buying = trade_type is TradeType.BUY
        _check_level("stop_loss", stop_loss, quote.price, below=buying)
        _check_level("target_price", target_price, quote.price, below=not buying)
        return cls(
            trade_type=trade_type,
            quantity=quantity,
            entry_price=quote.price,
            entry_source=quote.source,
            entry_timestamp=quote.timestamp,
            stop_loss=stop_loss,
            target_price=target_price,
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
        # Adding zero turns the -0.00 of a sell that ends where it began into 0.00.
        return (price - self.entry_price) * self.quantity * self.trade_type.sign + ZERO

    def may_exit_at(self, quote: Quote) -> bool:
        """Tell whether `quote` is evidence enough: a real entry never exits at a mock price."""
        return quote.counts_for(self.entry_source)

    def exit_at(self, quote: Quote, reason: ExitReason) -> Exit:
        """Close at `quote` for `reason`."""
        return Exit(reason=reason, quote=quote, pnl=self.pnl_at(quote.price))

    def triggered_by(self, quote: Quote) -> Exit | None:
        """Return the exit that `quote` causes, or None where it causes none."""
        if not self.may_exit_at(quote):
            return None
        if self.trigger_below is not None and quote.price <= self.trigger_below:
            return self.exit_at(quote, self._reason_below)
        if self.trigger_above is not None and quote.price >= self.trigger_above:
            return self.exit_at(quote, self._reason_above)
        return None

    def triggered_in(self, candle: Candle) -> Exit | None:
        """Return the exit that something in `candle` caused, or None where nothing did.

        A level that the candle opened beyond was jumped over: the exit is at the open. One that
        lies inside it was met: the exit is at the level. Where it holds both levels nobody can
        tell which came first, so it is the stop-loss. A candle that began before the entry
        tells nothing of what came after it.
        """
        if candle.time < self.entry_timestamp:
            return None
        opening = self.triggered_by(candle.quote_at(candle.open))
        if opening is not None:
            return replace(opening, settled_from=SettledFrom.GAP)
        for level in (self.stop_loss, self.target_price):
            if level is not None and candle.low <= level <= candle.high:
                met = self.triggered_by(candle.quote_at(level))
                return replace(met, settled_from=SettledFrom.GAP) if met else None
        return None

    @property
    def _reason_below(self) -> ExitReason:
        buying = self.trade_type is TradeType.BUY
        return ExitReason.STOP_LOSS if buying else ExitReason.TARGET

    @property
    def _reason_above(self) -> ExitReason:
        buying = self.trade_type is TradeType.BUY
        return ExitReason.TARGET if buying else ExitReason.STOP_LOSS


def _check_level(field: str, level: Decimal | None, price: Decimal, *, below: bool) -> None:
    if level is None or (level < price if below else level > price):
        return
    raise WrongSideOfPrice(field, level, "below" if below else "above", price)
