"""Segments of SMS: each is paid for, so a message is one segment."""

from __future__ import annotations

import re

import gsm0338

# https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding
MAX_GSM_UNITS = 160
MAX_UTF16_UNITS = 70
_GSM = gsm0338.Codec()
# Characters outside GSM-7, and their replacements in it.
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


def plain(text: str) -> str:
    """Return the text with Rs for the rupee sign, which would more than halve a segment."""
    return re.sub(r"₹\s*", "Rs ", text).translate(_PLAIN)


def fits_segment(text: str) -> bool:
    """Return whether a text fits into one segment: in GSM-7, or else in UTF-16."""
    try:
        return len(_GSM.encode(text)[0]) <= MAX_GSM_UNITS
    except UnicodeEncodeError:
        return len(text.encode("utf-16-be")) // 2 <= MAX_UTF16_UNITS


def cut(text: str) -> str:
    """Return as many whole words of the text, in plain characters, as fit into one segment."""
    text = plain(text)
    if fits_segment(text):
        return text
    room = next(
        length for length in range(MAX_GSM_UNITS, -1, -1) if fits_segment(f"{text[:length]}...")
    )
    # One character more: a word may end exactly where the room does.
    words = re.match(r"(?s)(.*)\s", text[: room + 1])
    return f"{(words[1].rstrip() if words else '') or text[:room]}..."
