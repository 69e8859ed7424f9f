"""Placement: what becomes of an order when it arrives.

It is filled at once, it waits for its price or its session, or it ends because it may not wait.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from app.domain.bounds import NOTHING, Bounds
from app.domain.bracket import Bracket
from app.domain.checks import Market, fills_at_once
from app.domain.entry import EntryOrder
from app.domain.fill_profile import FillModel
from app.domain.money import ZERO, required_margin
from app.domain.order import Order, OrderType, TimeInForce
from app.domain.position import Position
from app.domain.quote import Quote
from app.domain.trade import ENDED_STATUS, REJECTED_BY_BROKER, EndReason, TradeStatus
from app.domain.trailing import TrailingTerms


@dataclass(frozen=True, slots=True)
class Placement:
    """An order that was accepted. `margin` is the rupees that it blocks.

    `order` is None for a market order that was filled at once, `bracket` unless it was filled.
    `placed` is the quote after which prices count. `asked` is the order in any case.
    """

    placed: Quote
    margin: Decimal
    asked: EntryOrder
    order: EntryOrder | None = None
    bracket: Bracket | None = None
    end_reason: EndReason | None = None

    @property
    def status(self) -> TradeStatus:
        """The status of the new trade."""
        if self.end_reason is not None:
            return ENDED_STATUS[self.end_reason]
        return TradeStatus.ACTIVE if self.bracket else TradeStatus.PENDING

    @property
    def entry(self) -> Bracket | EntryOrder:
        """The bracket that it opens, or the order before it."""
        return self.bracket or self.asked

    @property
    def levels(self) -> Bounds:
        """The prices that it waits for next."""
        if self.end_reason is not None:
            return NOTHING
        return Bounds(self.entry.trigger_below, self.entry.trigger_above)

    @property
    def margin_price(self) -> Decimal:
        """The price of its margin: that of its fill, or the one at which the order blocks it."""
        return self.bracket.entry_price if self.bracket else self.asked.margin_price

    @property
    def position(self) -> Position | None:
        """The position that it opens, None if it holds nothing yet."""
        return Position.of(self.bracket) if self.bracket else None

    def ended(self, reason: EndReason) -> Placement:
        """Return the order as it ends on arrival, unfilled."""
        return Placement(self.placed, ZERO, self.asked, self.asked, end_reason=reason)

    def under(self, model: FillModel) -> Placement:
        """Return what becomes of the order under a model, by which a broker may reject it."""
        asked = replace(self.asked, model=model)
        if self.end_reason is None and (code := model.rejection()):
            return replace(self, asked=asked).ended(REJECTED_BY_BROKER[code])
        order = asked if self.order else None
        if self.bracket is None:
            return replace(self, asked=asked, order=order)
        bracket = self.bracket.filled_by(model, self.placed, asked.limit_price)
        margin = asked.margin_at(bracket.entry_price)
        return replace(self, asked=asked, order=order, bracket=bracket, margin=margin)


def place(
    order: Order,
    market: Market,
    margin_rate: Decimal,
    expires_at: datetime | None,
    trailing: TrailingTerms | None = None,
) -> Placement:
    """Return what becomes of an order that has passed the checks of its `market`.

    `margin_rate` is the blocked fraction of its value. `expires_at` is when its time in force
    ends, in the time of the feed; None if that is immediate or never. `trailing` are the terms of
    its trailing stop.
    """
    placed = market.quote
    assert placed is not None
    asked = _entry_order(order, market, margin_rate, expires_at, trailing)
    if fills_at_once(order, placed, is_queued=market.is_queueing):
        bracket = Bracket.open(
            order.trade_type,
            order.quantity,
            placed,
            stop_loss=order.stop_loss,
            target_price=order.target_price,
            trailing=trailing,
        )
        margin = required_margin(placed.price, order.quantity, margin_rate)
        is_market = order.order_type is OrderType.MARKET
        return Placement(placed, margin, asked, None if is_market else asked, bracket)
    waiting = Placement(placed, asked.margin_at(asked.margin_price), asked, asked)
    if order.time_in_force is TimeInForce.IOC:
        return waiting.ended(EndReason.IOC)
    return waiting


def _entry_order(
    order: Order,
    market: Market,
    margin_rate: Decimal,
    expires_at: datetime | None,
    trailing: TrailingTerms | None = None,
) -> EntryOrder:
    assert market.quote is not None
    return EntryOrder(
        trade_type=order.trade_type,
        quantity=order.quantity,
        order_type=order.order_type,
        placed=market.quote,
        margin_rate=margin_rate,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        time_in_force=order.time_in_force,
        expires_at=expires_at,
        queued_for=market.queued_for,
        stop_loss=order.stop_loss,
        target_price=order.target_price,
        trailing=trailing,
    )
