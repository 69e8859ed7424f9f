"""Stories: what an event comes to in a line, and its figures, for the person it happened to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain.money import format_rupees
from app.models import EventType, Notification

# A subject longer than this is cut by most mail programs.
MAX_SUBJECT = 120
Figures = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class EventSummary:
    """`figures` are labelled amounts; `pnl` and `available_margin`, after it, are rupees.

    `time` is when it happened, where that was not when it was written down.
    """

    subject: str
    figures: Figures = ()
    pnl: Decimal | None = None
    available_margin: Decimal | None = None
    time: datetime | None = None


def summarize(event: Notification) -> EventSummary:
    """Return the story of an event; of one that is not known, its name and how it begins."""
    try:
        return _TELLERS[event.type](event.data)
    except KeyError:
        # A type of its own, or a known name that a user gave to an event without figures.
        name = one_line(event.type.replace("_", " "))
        return EventSummary(
            subject=_shortened(f"{name[:1].upper()}{name[1:]}: {one_line(event.message)}")
        )


def one_line(text: str) -> str:
    """Return the text in one line of printable characters, so that it can end no header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _opened(event: Mapping[str, Any]) -> EventSummary:
    bought = "Bought" if event["trade_type"] == "BUY" else "Sold"
    price = format_rupees(event["entry_price"])
    levels = {"Stop-loss": event["stop_loss"], "Target": event["target_price"]}
    return EventSummary(
        subject=f"{bought} {event['quantity']} {event['symbol']} at {price}",
        figures=(
            ("Trade", _trade(event)),
            ("Entry price", price),
            *((name, format_rupees(level)) for name, level in levels.items() if level is not None),
            ("Margin blocked", format_rupees(event["margin_used"])),
        ),
        available_margin=event.get("available_margin"),
    )


def _closed(event: Mapping[str, Any]) -> EventSummary:
    pnl = event["pnl"]
    what = {"stop_loss": "Stop-loss hit", "target": "Target reached"}.get(event["reason"], "Exited")
    return EventSummary(
        subject=f"{what}: {_trade(event)}, {result(pnl)}",
        figures=(
            ("Trade", _trade(event)),
            ("Exit price", format_rupees(event["exit_price"])),
            ("P&L", format_rupees(pnl)),
        ),
        pnl=pnl,
        # Found after the server was away: the price was reached back then.
        time=event["quote"]["timestamp"] if event.get("settled_from") == "gap" else None,
    )


def _alerted(event: Mapping[str, Any]) -> EventSummary:
    price = format_rupees(event["price"])
    return EventSummary(
        subject=f"Price alert: {event['symbol']} at {price}",
        figures=(("Symbol", event["symbol"]), ("Price", price)),
        time=event["timestamp"],
    )


def result(pnl: Decimal) -> str:
    """Return what a P&L in rupees comes to, in words."""
    if pnl == 0:
        return "no profit, no loss"
    return f"{'profit' if pnl > 0 else 'loss'} {format_rupees(abs(pnl))}"


def _trade(event: Mapping[str, Any]) -> str:
    return f"{event['trade_type']} {event['quantity']} {event['symbol']}"


def _shortened(subject: str) -> str:
    if len(subject) <= MAX_SUBJECT:
        return subject
    return f"{subject[: MAX_SUBJECT - 3].rstrip()}..."


_TELLERS: dict[str, Callable[[Mapping[str, Any]], EventSummary]] = {
    EventType.TRADE_CREATED: _opened,
    EventType.TRADE_EXITED: _closed,
    EventType.TRADE_AUTO_CLOSED: _closed,
    EventType.PRICE_ALERT: _alerted,
}
