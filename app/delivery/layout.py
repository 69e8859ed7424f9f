"""The layout of an email: the same letter as plain text and as HTML.

The HTML loads nothing from anywhere, and leaves background and text to the mail program, so
that it can be read in the light and in the dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

WHY = (
    "This is paper trading: no real money is involved. You choose what is sent to you, by email "
    "or SMS, in your notification preferences."
)
STOP = "Stop these emails"
_FONT = "font-family:Arial,Helvetica,sans-serif;font-size:16px;line-height:1.5"
# Their contrast is over 4:1 on white and on black.
_QUIET, _GAIN, _LOSS = "#767676", "#188038", "#d93025"


@dataclass(frozen=True, slots=True)
class Letter:
    """To whom it is, the events it tells of, how many more there were, and the figures."""

    name: str
    events: list[str]
    more: int
    figures: tuple[tuple[str, str], ...]
    stop_link: str | None = None


def as_text(letter: Letter) -> str:
    """Return the letter as plain text."""
    stop = f"\n{STOP}: {letter.stop_link}" if letter.stop_link else ""
    figures = "\n".join(f"{label}: {amount}" for label, amount in letter.figures)
    parts = [f"Hello {letter.name},", "\n".join(_lines(letter)), figures, f"-- \n{WHY}{stop}"]
    return "\n\n".join(part for part in parts if part) + "\n"


def as_html(title: str, letter: Letter) -> str:
    """Return the letter as an HTML page of its own."""
    events = "".join(f'<p style="margin:0 0 8px">{_text(each)}</p>' for each in _lines(letter))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="supported-color-schemes" content="light dark">'
        f"<title>{_text(title)}</title></head>"
        f'<body style="margin:0;padding:16px;{_FONT}"><div style="max-width:600px">'
        f'<p style="margin:0 0 16px">Hello {_text(letter.name)},</p>'
        f"{events}{_table(letter.figures)}"
        f'<p style="margin:16px 0 0;font-size:13px;color:{_QUIET}">{_text(WHY)}{_stop(letter)}</p>'
        "</div></body></html>\n"
    )


def _stop(letter: Letter) -> str:
    if letter.stop_link is None:
        return ""
    return f'<br><a href="{escape(letter.stop_link)}" style="color:{_QUIET}">{STOP}</a>'


def _lines(letter: Letter) -> list[str]:
    return [*letter.events, *([f"... and {letter.more} more."] if letter.more else [])]


def _table(figures: tuple[tuple[str, str], ...]) -> str:
    if not figures:
        return ""
    rows = "".join(
        f'<tr><td style="padding:4px 24px 4px 0;color:{_QUIET}">{_text(label)}</td>'
        f'<td style="padding:4px 0;text-align:right;font-weight:bold{_colour(label, amount)}">'
        f"{_text(amount)}</td></tr>"
        for label, amount in figures
    )
    return f'<table role="presentation" style="border-collapse:collapse;{_FONT}">{rows}</table>'


def _colour(label: str, amount: str) -> str:
    if label != "P&L":
        return ""
    return f";color:{_LOSS if amount.startswith('-') else _GAIN}"


def _text(text: str) -> str:
    return escape(text).replace("\n", "<br>")
