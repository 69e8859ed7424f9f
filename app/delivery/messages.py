"""Messages: a user's events, rendered from the templates as an email and as an SMS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.delivery.links import display_name, without_links
from app.delivery.segments import cut, fits_segment, plain
from app.delivery.summaries import EventSummary, Figures, result, summarize
from app.domain.candle import IST
from app.domain.money import ZERO, format_rupees
from app.domain.portfolio import DEFAULT_NAME
from app.models import EventType, Notification

# Maximum events listed in an email; it counts the rest.
MAX_LINES = 20
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


class Message(Protocol):
    """What a sender sends: it renders the form that its channel needs.

    `events` is how many events the message is about, `stop_link` where its recipient can stop the
    emails.
    """

    @property
    def subject(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def html(self) -> str: ...
    @property
    def sms(self) -> str: ...
    @property
    def events(self) -> int: ...
    @property
    def stop_link(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class EventMessage:
    """A message about events: a line for each, and labelled amounts.

    `balance` holds those of the `figures` that an SMS has room for.
    """

    name: str
    subject: str
    lines: tuple[str, ...]
    figures: Figures
    balance: Figures
    stop_link: str | None = None

    @property
    def events(self) -> int:
        return len(self.lines)

    @property
    def text(self) -> str:
        return self._render_email("events.txt")

    @property
    def html(self) -> str:
        return self._render_email("events.html")

    @property
    def sms(self) -> str:
        if self.events > 1:
            return self._digest_sms()
        (line,) = self.lines
        text = render_sms("event_sms.txt", line=line, balance=self.balance)
        return (
            text if fits_segment(text) else cut(render_sms("event_sms.txt", line=line, balance=()))
        )

    def _render_email(self, template: str) -> str:
        return render(
            template,
            name=self.name,
            subject=self.subject,
            lines=self.lines[:MAX_LINES],
            more=max(self.events - MAX_LINES, 0),
            figures=self.figures,
            stop_link=self.stop_link,
        )

    def _digest_sms(self) -> str:
        text = ""
        for count in range(self.events + 1):
            longer = render_sms(
                "digest_sms.txt",
                subject=self.subject,
                lines=self.lines[:count],
                more=self.events - count,
                balance=self.balance,
            )
            if not fits_segment(longer):
                break
            text = longer
        return text


def render(template: str, **context: Any) -> str:
    """Return a template of app/delivery/templates with its variables filled in."""
    return _TEMPLATES.get_template(template).render(context)


def render_sms(template: str, **context: Any) -> str:
    """Return a template of an SMS, filled in and in plain characters."""
    return plain(render(template, **context)).strip()


def compose(
    name: str,
    notifications: Sequence[Notification],
    available_margins: Mapping[str, Decimal],
    stop_link: str | None = None,
) -> EventMessage:
    """Return one message to `name` about all the notifications, in their order.

    `available_margins` are the current ones, in rupees, by the name of the portfolio.
    """
    notifications = [_without_links(notification) for notification in notifications]
    summaries = [summarize(notification) for notification in notifications]
    if len(notifications) == 1:
        (summary,) = summaries
        subject = summary.subject
        balance = _balance(summary, notifications, available_margins)
        time = format_ist(summary.time or notifications[0].created_at)
        figures = (*summary.figures, ("Time", time), *balance)
    else:
        subject = _digest_subject(summaries)
        figures = balance = _balances_now(notifications, available_margins)
    return EventMessage(
        name=display_name(name),
        subject=subject,
        lines=tuple(clean(notification.message) for notification in notifications),
        figures=figures,
        balance=balance,
        stop_link=stop_link,
    )


def clean(text: str) -> str:
    """Return the text without control characters other than line ends."""
    lines = ("".join(c for c in line if c.isprintable()) for line in text.splitlines())
    return "\n".join(lines).strip()


def format_ist(time: datetime) -> str:
    """Return a time as a clock in India shows it."""
    return f"{time.astimezone(IST):%d %b %Y, %H:%M:%S} IST"


def _balance(
    summary: EventSummary, notifications: Sequence[Notification], now: Mapping[str, Decimal]
) -> Figures:
    if summary.available_margin is None:
        return _balances_now(notifications, now)
    label = _label("Available margin", _portfolio(notifications[0]))
    return ((label, format_rupees(summary.available_margin)),)


def _balances_now(notifications: Sequence[Notification], now: Mapping[str, Decimal]) -> Figures:
    """Return the available margin of each portfolio that the events are about."""
    names = dict.fromkeys(map(_portfolio, notifications))
    return tuple(
        (_label("Available margin now", name), format_rupees(now[name]))
        for name in names
        if name in now
    )


def _portfolio(event: Notification) -> str:
    return str(event.data.get("portfolio", DEFAULT_NAME))


def _label(label: str, portfolio: str) -> str:
    return label if portfolio == DEFAULT_NAME else f"{label} ({portfolio})"


def _digest_subject(summaries: Sequence[EventSummary]) -> str:
    results = [summary.pnl for summary in summaries if summary.pnl is not None]
    net = f", in all {result(sum(results, ZERO))}" if results else ""
    return f"{len(summaries)} events{net}"


def _without_links(event: Notification) -> Notification:
    """Return an event without links, if a user wrote its text."""
    if EventType.of(event.type) is not EventType.CUSTOM and "message" not in event.data:
        return event
    return replace(
        event,
        type=without_links(clean(event.type)),
        message=without_links(clean(event.message)),
    )
