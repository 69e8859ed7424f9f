"""Messages: a user's events in words, as an email in text and HTML and as a text message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import gsm0338

from app.delivery.layout import Letter, as_html, as_text
from app.delivery.links import display_name, without_links
from app.delivery.summaries import EventSummary, result, summarize
from app.domain.money import ZERO, format_rupees
from app.models import EventType, Notification

# Events of a digest that an email tells one by one; the rest is counted.
MAX_LINES = 20
# One segment, since each is paid for: in GSM-7, the small alphabet, or else in UTF-16.
MAX_GSM_UNITS = 160
MAX_UTF16_UNITS = 70
_GSM = gsm0338.Codec()
# In the small alphabet in place of what is not.
_PLAIN = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": "-",
        "\u2014": "-",
        "\u2026": "...",
        "\u00a0": " ",
        "\u2192": "->",
    }
)
INDIA = timezone(timedelta(hours=5, minutes=30))
# So that nobody takes virtual money for their own.
SMS_SENDER = "Paper trading:"


@dataclass(frozen=True, slots=True)
class Message:
    """What to tell a user, as each channel needs it, and of how many events."""

    subject: str
    text: str
    html: str
    sms: str
    events: int
    # Where the recipient can stop the emails.
    stop_link: str | None = None


def compose(
    name: str,
    notifications: Sequence[Notification],
    available_margin: Decimal | None,
    stop_link: str | None = None,
) -> Message:
    """Write one message to `name` that tells of all the notifications, in their order.

    `available_margin` is the rupees that are available now; None where there is no portfolio.
    """
    notifications = [_without_links(each) for each in notifications]
    events = [clean(each.message) for each in notifications]
    summaries = [summarize(each) for each in notifications]
    if len(events) == 1:
        (story,) = summaries
        balance = _balance(story.available_margin, available_margin)
        subject = story.subject
        time = in_india(story.time or notifications[0].created_at)
        figures = (*story.figures, ("Time", time), *balance)
        sms = _sms(f"{SMS_SENDER} {events[0]}", " ".join(_sentences(balance)))
    else:
        balance = _balance(None, available_margin)
        subject = _digest_subject(summaries)
        figures = balance
        sms = _digest_sms(subject, events, _sentences(balance))
    letter = Letter(
        name=display_name(name),
        events=events[:MAX_LINES],
        more=max(len(events) - MAX_LINES, 0),
        figures=figures,
        stop_link=stop_link,
    )
    text, html = as_text(letter), as_html(subject, letter)
    return Message(subject, text, html, sms, len(events), stop_link)


def clean(text: str) -> str:
    """Return the text without control characters other than the ends of its lines."""
    lines = ("".join(c for c in line if c.isprintable()) for line in text.splitlines())
    return "\n".join(lines).strip()


def plain(text: str) -> str:
    """Return the text with Rs for the rupee sign, which would cost an SMS half its length."""
    return re.sub(r"₹\s*", "Rs ", text).translate(_PLAIN)


def fits_segment(text: str) -> bool:
    """Return whether a text is one segment of SMS."""
    try:
        return len(_GSM.encode(text)[0]) <= MAX_GSM_UNITS
    except UnicodeEncodeError:
        return len(text.encode("utf-16-be")) // 2 <= MAX_UTF16_UNITS


def cut(text: str) -> str:
    """Return as many whole words of the text, in plain characters, as fit one segment of SMS."""
    text = plain(text)
    if fits_segment(text):
        return text
    room = next(
        length for length in range(MAX_GSM_UNITS, -1, -1) if fits_segment(f"{text[:length]}...")
    )
    # One more than there is room for: a word may end right at the edge.
    words = re.match(r"(?s)(.*)\s", text[: room + 1])
    return f"{(words[1].rstrip() if words else '') or text[:room]}..."


def in_india(time: datetime) -> str:
    """Return a time as a clock in India shows it."""
    return f"{time.astimezone(INDIA):%d %b %Y, %H:%M:%S} IST"


def _balance(after: Decimal | None, now: Decimal | None) -> tuple[tuple[str, str], ...]:
    if after is not None:
        return (("Available margin", format_rupees(after)),)
    return (("Available margin now", format_rupees(now)),) if now is not None else ()


def _sentences(figures: tuple[tuple[str, str], ...]) -> list[str]:
    return [f"{label}: {amount}." for label, amount in figures]


def _digest_subject(summaries: Sequence[EventSummary]) -> str:
    results = [each.pnl for each in summaries if each.pnl is not None]
    net = f", in all {result(sum(results, ZERO))}" if results else ""
    return f"{len(summaries)} events{net}"


def _digest_sms(subject: str, events: Sequence[str], closing: Sequence[str]) -> str:
    heading = f"{SMS_SENDER} {subject}."
    told: list[str] = []
    for number, event in enumerate(events):
        left = len(events) - number - 1
        more = [f"... and {left} more."] if left else []
        if not fits_segment(plain("\n".join([heading, *told, event, *more, *closing]))):
            break
        told.append(event)
    left = len(events) - len(told)
    more = [f"... and {left} more."] if left and told else []
    return _sms("\n".join([heading, *told, *more]), "\n".join(closing), separator="\n")


def _sms(text: str, closing: str, *, separator: str = " ") -> str:
    """Return both as one segment; the text alone, cut if need be, if they do not fit."""
    whole = plain(f"{text}{separator}{closing}" if closing else text)
    return whole if fits_segment(whole) else cut(text)


def _without_links(event: Notification) -> Notification:
    """Return an event of a user's own words without the links in them."""
    if EventType.of(event.type) is not EventType.CUSTOM and "message" not in event.data:
        return event
    return replace(
        event,
        type=without_links(clean(event.type)),
        message=without_links(clean(event.message)),
    )
