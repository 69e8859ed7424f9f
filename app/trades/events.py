"""The events of trades: a message for the user, and data for programs."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal

from bson import ObjectId

from app.domain.bracket import Bracket
from app.domain.corporate_actions import ActionKind, Adjusted
from app.domain.entry import Entered, EntryOrder, Triggered
from app.domain.fill import Exit, ExitReason
from app.domain.money import ZERO, format_rupees
from app.domain.order import OrderType
from app.domain.portfolio import DEFAULT_NAME
from app.domain.quote import Quote
from app.domain.side import TradeType
from app.domain.trade import (
    ENDED_STATUS,
    Ended,
    EndReason,
    Modified,
    TradeStatus,
    adjust,
    modify,
)
from app.domain.trailing import TrailingTerms, Unit
from app.domain.triggers import SettledFrom
from app.models import EventDraft, Trade, TradeChange

_OPENED = {TradeType.BUY: "Bought", TradeType.SELL: "Sold"}
_ENDED = {
    EndReason.USER: "was cancelled",
    EndReason.OCO: "was cancelled, because the other order of its pair was filled",
    EndReason.OCO_REJECTED: "was cancelled, because the other order of its pair was rejected",
    EndReason.IOC: "was cancelled, because it could not be filled at once",
    EndReason.PORTFOLIO_RESET: "was cancelled, because the portfolio was reset",
    EndReason.CORPORATE_ACTION: "was cancelled, because its share is reorganized",
    EndReason.EXPIRED: "has expired",
    EndReason.INSUFFICIENT_MARGIN: "was rejected: its price was reached, and the margin it needs "
    "there is not available",
    EndReason.UNLISTED: "was rejected: the instrument is no longer listed",
    EndReason.BROKER_AB1004: "was rejected by the broker: AB1004, something went wrong, try again",
    EndReason.BROKER_AB1007: "was rejected by the broker: AB1007, its order system failed",
    EndReason.BROKER_AB2001: "was rejected by the broker: AB2001, internal error, try again",
}
_REACHED = {
    ExitReason.STOP_LOSS: "Stop-loss hit",
    ExitReason.TRAILING_STOP: "Trailing stop hit",
    ExitReason.TARGET: "Target reached",
}
_WHEN = {
    None: "",
    SettledFrom.GAP: " while the server was away",
    SettledFrom.QUOTE: " at the first price after a time without prices",
    SettledFrom.LAST_PRICE: " at its last known price,",
}


def trade_created(trade: Trade, available_margin: Decimal) -> EventDraft:
    """Return the event of a new trade; `available_margin` is what is left, in rupees."""
    bracket = trade.bracket
    return EventDraft(
        user_id=trade.user_id,
        type="trade_created",
        message=_opened_in_words(trade, bracket) if bracket else _placed_in_words(trade),
        data={
            **_identity(trade),
            "user_id": trade.user_id,
            "oco_id": str(trade.oco_id) if trade.oco_id else None,
            "split_from": str(trade.split_from) if trade.split_from else None,
            "status": trade.status.value,
            **_order_data(trade),
            "stop_loss": trade.terms.stop_loss,
            "target_price": trade.terms.target_price,
            **_trailing_data(trade.terms.trailing),
            "entry_price": bracket.entry_price if bracket else None,
            **_first_level(bracket),
            "margin_used": trade.margin_used,
            "available_margin": available_margin,
            "created_at": trade.created_at,
        },
    )


def trade_changed(item: TradeChange) -> EventDraft:
    """Return the event of a change of a trade."""
    trade, change = item.trade, item.transition.change
    if isinstance(change, Exit):
        return trade_closed(trade, change) if item.is_last_exit else trade_reduced(trade, change)
    if isinstance(change, Entered):
        return trade_filled(trade, change, item.rest_id)
    if isinstance(change, Triggered):
        return trade_triggered(trade, change)
    if isinstance(change, Modified):
        return trade_modified(trade, change)
    if isinstance(change, Adjusted):
        return trade_adjusted(trade, change)
    return trade_ended(trade, change)


def trade_closed(trade: Trade, exit: Exit) -> EventDraft:
    """Return the event of a trade that its user or a price closed."""
    by_user = exit.reason is ExitReason.USER
    return EventDraft(
        user_id=trade.user_id,
        type="trade_exited" if by_user else "trade_auto_closed",
        message=_closed_in_words(trade, exit),
        data=_exit_data(trade, exit),
    )


def trade_reduced(trade: Trade, exit: Exit) -> EventDraft:
    """Return the event of a trade of which a part was exited."""
    left = trade.entered.open_quantity - exit.quantity
    verb = "is" if left == 1 else "are"
    return EventDraft(
        user_id=trade.user_id,
        type="trade_partially_exited",
        message=f"{_closed_in_words(trade, exit)} {left} {verb} still open.",
        data={**_exit_data(trade, exit), "open_quantity": left},
    )


def trade_filled(trade: Trade, entered: Entered, rest_id: ObjectId) -> EventDraft:
    """Return the event of an entry order that a price filled, in part if it leaves a rest."""
    bracket, rest = entered.bracket, entered.rest
    ordered = trade.terms.quantity
    in_part, of_whole = (" in part", f" of {ordered}") if rest else ("", "")
    return EventDraft(
        user_id=trade.user_id,
        type="trade_filled",
        message=f"Order filled{in_part}{_WHEN[bracket.entry_settled_from]}: "
        f"{_OPENED[bracket.trade_type].lower()} {bracket.quantity}{of_whole} {_named(trade)} at "
        f"{format_rupees(bracket.entry_price)}{_levels(bracket)}.",
        data={
            **_identity(trade, bracket.quantity),
            "ordered_quantity": ordered,
            "rest_trade_id": str(rest_id) if rest else None,
            **_order_data(trade),
            "entry_price": bracket.entry_price,
            "stop_loss": bracket.stop_loss,
            "target_price": bracket.target_price,
            **_trailing_data(bracket.trailing),
            **_first_level(bracket),
            "margin_used": trade.margin_after(entered),
            "quote": _quote_data(entered.quote),
            **_settled_from(bracket.entry_settled_from),
        },
    )


def trade_triggered(trade: Trade, triggered: Triggered) -> EventDraft:
    """Return the event of a stop-limit that became a limit."""
    quote = triggered.quote
    return EventDraft(
        user_id=trade.user_id,
        type="trade_triggered",
        message=f"Your {_in_words(trade)} was triggered at {format_rupees(quote.price)} and is a "
        "limit order from now on.",
        data={
            **_identity(trade),
            **_order_data(trade),
            "quote": _quote_data(quote),
            **_settled_from(triggered.settled_from),
        },
    )


def trade_modified(trade: Trade, modified: Modified) -> EventDraft:
    """Return the event of an order or a bracket that its user changed."""
    terms, after = modified.terms, trade.after(modify(trade, modified.terms))
    assert after is not None
    if isinstance(terms, EntryOrder):
        subject = _in_words(after)
    else:
        subject = f"{trade.trade_type} of {terms.open_quantity} {trade.symbol}"
    return EventDraft(
        user_id=trade.user_id,
        type="trade_modified",
        message=_modified_in_words(trade, terms, subject),
        data={
            **_identity(after),
            "status": after.status.value,
            "version": after.version,
            **_order_data(after),
            "stop_loss": terms.stop_loss,
            "target_price": terms.target_price,
            **_trailing_data(terms.trailing),
            **(_first_level(after.bracket) if after.trailing_stop != trade.trailing_stop else {}),
            "margin_used": after.margin_used,
            "exit_queued": _queued_exit_data(terms),
        },
    )


def trade_adjusted(trade: Trade, adjusted: Adjusted) -> EventDraft:
    """Return the event of a trade that a corporate action has adjusted, credited or flagged."""
    terms, adjustment = adjusted.terms, adjusted.adjustment
    after = trade.after(adjust(trade, adjusted))
    assert after is not None
    return EventDraft(
        user_id=trade.user_id,
        type="trade_adjusted",
        message=_adjusted_in_words(trade, adjusted),
        data={
            **_identity(after),
            "status": after.status.value,
            "version": after.version,
            "action": adjustment.kind.value,
            "ex_date": adjustment.ex_date.isoformat(),
            "ratio": str(adjustment.ratio) if adjustment.ratio else None,
            "amount": adjustment.amount,
            **_order_data(after),
            "entry_price": adjustment.entry_price,
            "stop_loss": terms.stop_loss,
            "target_price": terms.target_price,
            **_trailing_data(terms.trailing),
            **(_first_level(after.bracket) if after.trailing_stop != trade.trailing_stop else {}),
            "pnl": adjustment.pnl,
            "margin_used": after.margin_used,
        },
    )


def _adjusted_in_words(trade: Trade, adjusted: Adjusted) -> str:
    adjustment, kind = adjusted.adjustment, adjusted.adjustment.kind
    if isinstance(adjusted.terms, EntryOrder):
        name = f"{adjustment.ratio} {kind.value}"
        price = adjusted.terms.waiting_price
        at = "" if price is None else f" at {format_rupees(price)}"
        order = f"{name}: your {_in_words(trade)} is for {adjustment.quantity}{at} now"
        return f"{order}{_levels(adjusted.terms)}."
    held = f"your {trade.trade_type} of {adjustment.quantity_before} {_named(trade)}"
    if kind is ActionKind.DIVIDEND:
        verb = "credited for" if adjustment.pnl >= 0 else "debited for"
        amount = format_rupees(adjustment.amount or ZERO)
        return f"Dividend of {amount} a share: {format_rupees(abs(adjustment.pnl))} {verb} {held}."
    if not kind.changes_units:
        return f"The share of {held} has a {kind.value}. The trade was left as it is: check it."
    entry = format_rupees(adjustment.entry_price or ZERO)
    rest = f" The rest of the division was booked: {_result(adjustment.pnl)}."
    return (
        f"{adjustment.ratio} {kind.value}: {held} is {adjustment.quantity} at {entry} now"
        f"{_levels(adjusted.terms)}.{rest if adjustment.pnl else ''}"
    )


def _modified_in_words(trade: Trade, terms: Bracket | EntryOrder, subject: str) -> str:
    before = trade.bracket.exit_queued if trade.bracket else None
    queued = terms.exit_queued if isinstance(terms, Bracket) else None
    if queued and queued != before:
        day = f"{queued.session.day} {queued.session:%B %Y}"
        part = "" if queued.quantity == trade.entered.open_quantity else f"{queued.quantity} of "
        return f"The exit of {part}your {subject} waits for the session of {day}."
    if before and not queued:
        return f"The exit of your {subject} no longer waits for the next session."
    return f"Your {subject} was modified{_levels(terms) or ': no stop-loss and no target'}."


def _queued_exit_data(terms: Bracket | EntryOrder) -> dict[str, object] | None:
    queued = terms.exit_queued if isinstance(terms, Bracket) else None
    if queued is None:
        return None
    return {"quantity": queued.quantity, "queued_for": queued.session.isoformat()}


def trade_ended(trade: Trade, ended: Ended) -> EventDraft:
    """Return the event of an entry order that ended unfilled."""
    status = ENDED_STATUS[ended.reason]
    return EventDraft(
        user_id=trade.user_id,
        type="trade_expired"
        if status is TradeStatus.EXPIRED
        else "trade_rejected"
        if status is TradeStatus.REJECTED
        else "trade_cancelled",
        message=f"Your {_in_words(trade)} {_ENDED[ended.reason]}.",
        data={
            **_identity(trade),
            **_order_data(trade),
            "reason": ended.reason.value,
            "margin_released": trade.margin_used,
        },
    )


def _exit_data(trade: Trade, exit: Exit) -> dict[str, object]:
    return {
        **_identity(trade, exit.quantity),
        "reason": exit.reason.value,
        "exit_price": exit.price,
        "pnl": exit.pnl,
        "quote": _quote_data(exit.quote),
        **_settled_from(exit.settled_from),
        **({"best_price": asdict(exit.best)} if exit.best else {}),
    }


def _order_data(trade: Trade) -> dict[str, object]:
    order = trade.order
    return {
        "order_type": (order.order_type if order else OrderType.MARKET).value,
        "limit_price": order.limit_price if order else None,
        "stop_price": order.stop_price if order else None,
        "time_in_force": order.time_in_force.value if order else None,
        "queued_for": order.queued_for.isoformat() if order and order.queued_for else None,
        "expires_at": order.expires_at if order else None,
    }


def _trailing_data(terms: TrailingTerms | None) -> dict[str, object]:
    if terms is None:
        return {}
    name = "trailing_pct" if terms.unit is Unit.PERCENT else "trailing_offset"
    return {name: terms.distance, "trailing_step": terms.step}


def _first_level(bracket: Bracket | None) -> dict[str, object]:
    """Return the level of a trailing stop that begins, if there is one."""
    stop = bracket.trailing_stop if bracket else None
    return {"trailing_stop": stop.level(None)} if stop else {}


def _quote_data(quote: Quote) -> dict[str, object]:
    return {"price": quote.price, "source": quote.source.value, "timestamp": quote.timestamp}


def _settled_from(settled_from: SettledFrom | None) -> dict[str, object]:
    return {"settled_from": settled_from.value} if settled_from else {}


def _opened_in_words(trade: Trade, bracket: Bracket) -> str:
    opened = f"{_OPENED[bracket.trade_type]} {bracket.quantity} {_named(trade)}"
    return f"{opened} at {format_rupees(bracket.entry_price)}{_levels(bracket)}."


def _placed_in_words(trade: Trade) -> str:
    order = trade.order
    assert order is not None
    day = order.queued_for
    session = f", for the session of {day.day} {day:%B %Y}" if day else ""
    placed = "The rest waits: a" if trade.split_from else "Placed a"
    return f"{placed} {_in_words(trade)}{_levels(order)}{session}."


def _in_words(trade: Trade) -> str:
    """Return an entry order in words: LIMIT order to buy 2 RELIANCE.NS at ₹1,200.00."""
    order = trade.order
    assert order is not None
    action = "buy" if order.trade_type is TradeType.BUY else "sell"
    price = order.waiting_price
    at = "" if price is None else f" at {format_rupees(price)}"
    return f"{order.order_type.value} order to {action} {order.quantity} {_named(trade)}{at}"


def _identity(trade: Trade, quantity: int | None = None) -> dict[str, object]:
    return {
        "trade_id": str(trade.id),
        "portfolio": trade.portfolio,
        "symbol": trade.symbol,
        "trade_type": trade.trade_type.value,
        "quantity": trade.terms.quantity if quantity is None else quantity,
    }


def _named(trade: Trade) -> str:
    """Return the symbol, and the portfolio unless it is the default one."""
    is_default = trade.portfolio == DEFAULT_NAME
    return trade.symbol if is_default else f"{trade.symbol} in {trade.portfolio}"


def _levels(bracket: Bracket | EntryOrder) -> str:
    levels = {"stop-loss": bracket.stop_loss, "target": bracket.target_price}
    parts = [
        f"{name} {format_rupees(level)}" for name, level in levels.items() if level is not None
    ]
    if terms := bracket.trailing:
        is_percent = terms.unit is Unit.PERCENT
        distance = (
            f"{terms.distance.normalize():f} %" if is_percent else format_rupees(terms.distance)
        )
        parts.append(f"a trailing stop {distance} away")
    return f" with {' and '.join(parts)}" if parts else ""


def _closed_in_words(trade: Trade, exit: Exit) -> str:
    position = f"your {trade.trade_type} of {exit.quantity} {_named(trade)}"
    price, result = format_rupees(exit.price), _result(exit.pnl)
    when = _WHEN[exit.settled_from]
    if exit.reason is ExitReason.USER:
        return f"Exited {position}{when or ' at'} {price}: {result}."
    return f"{_REACHED[exit.reason]}{when}: {position} was closed at {price}, {result}."


def _result(pnl: Decimal) -> str:
    if pnl == 0:
        return "no profit and no loss"
    return f"a {'profit' if pnl > 0 else 'loss'} of {format_rupees(abs(pnl))}"
