"""Summaries of events: the subject and the labelled amounts of a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from app.domain.money import format_rupees
from app.models import EventType, Notification

# Most mail programs cut a longer subject.
MAX_SUBJECT = 120
Figures = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class EventSummary:
    """An event as a message shows it.

    `figures` are labelled amounts. `pnl`, and the `available_margin` after the event, are in
    rupees. `time` is when it happened, if it was recorded later.
    """

    subject: str
    figures: Figures = ()
    pnl: Decimal | None = None
    available_margin: Decimal | None = None
    time: datetime | None = None


def summarize(event: Notification) -> EventSummary:
    """Return the summary of an event; for an unknown type, its name and the start of its text."""
    try:
        return _SUMMARIZERS[event.type](event.data)
    except KeyError:
        # A custom type, or a custom event with the name of a known type, which has no figures.
        name = one_line(event.type.replace("_", " "))
        return EventSummary(
            subject=_shortened(f"{name[:1].upper()}{name[1:]}: {one_line(event.message)}")
        )


def one_line(text: str) -> str:
    """Return the text as one line of printable characters, so that it cannot end a header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _opened(event: Mapping[str, Any]) -> EventSummary:
    if event["entry_price"] is None:
        return _placed(event)
    bought = "Bought" if event["trade_type"] == "BUY" else "Sold"
    # Only the fill of a part leaves a rest.
    ordered = f" of {event['ordered_quantity']}" if event.get("rest_trade_id") else ""
    price = format_rupees(event["entry_price"])
    return EventSummary(
        subject=f"{bought} {event['quantity']}{ordered} {event['symbol']} at {price}",
        figures=(
            ("Trade", _trade(event)),
            ("Entry price", price),
            *_levels(event),
            ("Margin blocked", format_rupees(event["margin_used"])),
        ),
        available_margin=event.get("available_margin"),
        time=_missed_at(event),
    )


def _placed(event: Mapping[str, Any]) -> EventSummary:
    return EventSummary(
        subject=f"Order placed: {_order(event)}",
        figures=(
            ("Order", _order(event)),
            *_prices(event),
            *_levels(event),
            ("Margin blocked", format_rupees(event["margin_used"])),
        ),
        available_margin=event.get("available_margin"),
    )


def _triggered(event: Mapping[str, Any]) -> EventSummary:
    return EventSummary(
        subject=f"Order triggered: {_order(event)}",
        figures=(("Order", _order(event)), *_prices(event)),
        time=_missed_at(event),
    )


def _modified(event: Mapping[str, Any]) -> EventSummary:
    waits = event["status"] == "PENDING"
    label, name = ("Order", _order(event)) if waits else ("Trade", _trade(event))
    return EventSummary(
        subject=f"{label} modified: {name}",
        figures=((label, name), *(_prices(event) if waits else ()), *_levels(event)),
    )


def _adjusted(event: Mapping[str, Any]) -> EventSummary:
    waits = event["status"] == "PENDING"
    label, name = ("Order", _order(event)) if waits else ("Trade", _trade(event))
    action = " ".join(filter(None, (event["ratio"], event["action"])))
    booked = (("Booked", format_rupees(event["pnl"])),) if event["pnl"] else ()
    entry = _amounts({"Entry price": event["entry_price"]})
    return EventSummary(
        subject=f"{action[:1].upper()}{action[1:]}: {name}",
        figures=((label, name), *(_prices(event) if waits else entry), *_levels(event), *booked),
        pnl=event["pnl"] or None,
    )


def _unfilled(outcome: str, event: Mapping[str, Any]) -> EventSummary:
    released = ("Margin released", format_rupees(event["margin_released"]))
    return EventSummary(
        subject=f"Order {outcome}: {_order(event)}",
        figures=(("Order", _order(event)), *_prices(event), released),
    )


def _closed(event: Mapping[str, Any]) -> EventSummary:
    pnl = event["pnl"]
    reasons = {"stop_loss": "Stop-loss hit", "target": "Target reached"}
    return EventSummary(
        subject=f"{reasons.get(event['reason'], 'Exited')}: {_trade(event)}, {result(pnl)}",
        figures=(
            ("Trade", _trade(event)),
            ("Exit price", format_rupees(event["exit_price"])),
            ("P&L", format_rupees(pnl)),
        ),
        pnl=pnl,
        time=_missed_at(event),
    )


def _alerted(event: Mapping[str, Any]) -> EventSummary:
    price = format_rupees(event["price"])
    return EventSummary(
        subject=f"Price alert: {event['symbol']} at {price}",
        figures=(("Symbol", event["symbol"]), ("Price", price)),
        time=event["timestamp"],
    )


def _funds_moved(event: Mapping[str, Any]) -> EventSummary:
    amount = format_rupees(abs(event["amount"]))
    return EventSummary(
        subject=f"{'Deposited' if event['amount'] > 0 else 'Withdrew'} {amount}",
        figures=(("Amount", amount),),
        available_margin=event["available_margin"],
    )


def _reset(event: Mapping[str, Any]) -> EventSummary:
    ended, margin = event["ended"], format_rupees(event["initial_margin"])
    return EventSummary(
        subject=f"Portfolio reset: season {event['season']} begins with {margin}",
        figures=(
            (f"P&L of season {ended['number']}", format_rupees(ended["total_pnl"])),
            (f"End of season {ended['number']}", format_rupees(ended["balance"])),
        ),
        available_margin=event["available_margin"],
    )


def result(pnl: Decimal) -> str:
    """Return a P&L in rupees, in words."""
    if pnl == 0:
        return "no profit, no loss"
    return f"{'profit' if pnl > 0 else 'loss'} {format_rupees(abs(pnl))}"


def _missed_at(event: Mapping[str, Any]) -> datetime | None:
    """Return when the price was reached, if that was settled after the server was away."""
    if event.get("settled_from") != "gap":
        return None
    time: datetime = event["quote"]["timestamp"]
    return time


def _levels(event: Mapping[str, Any]) -> Figures:
    return _amounts({"Stop-loss": event["stop_loss"], "Target": event["target_price"]})


def _prices(event: Mapping[str, Any]) -> Figures:
    return _amounts({"Limit": event["limit_price"], "Stop": event["stop_price"]})


def _amounts(amounts: Mapping[str, Decimal | None]) -> Figures:
    return tuple(
        (name, format_rupees(amount)) for name, amount in amounts.items() if amount is not None
    )


def _order(event: Mapping[str, Any]) -> str:
    return f"{event['order_type']} {_trade(event)}"


def _trade(event: Mapping[str, Any]) -> str:
    return f"{event['trade_type']} {event['quantity']} {event['symbol']}"


def _shortened(subject: str) -> str:
    if len(subject) <= MAX_SUBJECT:
        return subject
    return f"{subject[: MAX_SUBJECT - 3].rstrip()}..."


_SUMMARIZERS: dict[str, Callable[[Mapping[str, Any]], EventSummary]] = {
    EventType.TRADE_CREATED: _opened,
    EventType.TRADE_FILLED: _opened,
    EventType.TRADE_TRIGGERED: _triggered,
    EventType.TRADE_MODIFIED: _modified,
    EventType.TRADE_ADJUSTED: _adjusted,
    EventType.TRADE_CANCELLED: partial(_unfilled, "cancelled"),
    EventType.TRADE_EXPIRED: partial(_unfilled, "expired"),
    EventType.TRADE_REJECTED: partial(_unfilled, "rejected"),
    EventType.TRADE_PARTIALLY_EXITED: _closed,
    EventType.TRADE_EXITED: _closed,
    EventType.TRADE_AUTO_CLOSED: _closed,
    EventType.PRICE_ALERT: _alerted,
    EventType.FUNDS_DEPOSITED: _funds_moved,
    EventType.FUNDS_WITHDRAWN: _funds_moved,
    EventType.PORTFOLIO_RESET: _reset,
}
