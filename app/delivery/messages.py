"""Messages: a user's events in words, as an email in text and HTML and as a text message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from app.delivery.layout import Letter, as_html, as_text
from app.delivery.stories import Story, one_line, result, tell
from app.domain.money import ZERO, format_rupees
from app.models import Notification

# Events of a digest that an email tells one by one; the rest is counted.
MOST_LINES = 20
# Twilio refuses longer bodies (error 21617).
LONGEST_SMS = 1_600
# Three segments of 153 characters: a digest is read on a telephone, and each segment is paid for.
LONGEST_DIGEST_SMS = 459
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


def compose(
    name: str, notifications: Sequence[Notification], available_margin: Decimal | None
) -> Message:
    """Write one message to `name` that tells of all the notifications, in their order.

    `available_margin` is the rupees that are available now; None where there is no portfolio.
    """
    events = [clean(each.message) for each in notifications]
    stories = [tell(each) for each in notifications]
    if len(events) == 1:
        (story,) = stories
        balance = _balance(story.available_margin, available_margin)
        subject = story.subject
        time = in_india(story.time or notifications[0].created_at)
        figures = (*story.figures, ("Time", time), *balance)
        sms = cut(" ".join((SMS_SENDER, events[0], *_sentences(balance))), LONGEST_SMS)
    else:
        balance = _balance(None, available_margin)
        subject = _digest_subject(stories)
        figures = balance
        sms = _digest_sms(subject, events, _sentences(balance))
    letter = Letter(
        name=one_line(name),
        events=events[:MOST_LINES],
        more=max(len(events) - MOST_LINES, 0),
        figures=figures,
    )
    return Message(subject, as_text(letter), as_html(subject, letter), sms, len(events))


def clean(text: str) -> str:
    """Return the text without control characters other than the ends of its lines."""
    lines = ("".join(c for c in line if c.isprintable()) for line in text.splitlines())
    return "\n".join(lines).strip()


def plain(text: str) -> str:
    """Return the text with Rs for the rupee sign, which would cost an SMS half its length."""
    return re.sub(r"₹\s*", "Rs ", text)


def cut(text: str, longest: int) -> str:
    """Return as many whole words of the text, in plain characters, as fit an SMS of `longest`."""
    text = plain(text)
    if len(text) <= longest:
        return text
    room = longest - len("...")
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


def _digest_subject(stories: Sequence[Story]) -> str:
    results = [each.pnl for each in stories if each.pnl is not None]
    net = f", in all {result(sum(results, ZERO))}" if results else ""
    return f"{len(stories)} events{net}"


def _digest_sms(subject: str, events: Sequence[str], closing: Sequence[str]) -> str:
    heading = f"{SMS_SENDER} {subject}."
    told: list[str] = []
    for number, event in enumerate(events):
        left = len(events) - number - 1
        more = [f"... and {left} more."] if left else []
        attempt = [heading, *told, event, *more, *closing]
        if len(plain("\n".join(attempt))) > LONGEST_DIGEST_SMS:
            break
        told.append(event)
    left = len(events) - len(told)
    more = [f"... and {left} more."] if left and told else []
    return cut("\n".join([heading, *told, *more, *closing]), LONGEST_DIGEST_SMS)
