"""No value in a log line can be mistaken for another line or field."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.logs import logger
from app.logs.format import JsonFormatter, TextFormatter, escape

HOSTILE = [
    "x\r2026-11-27T02:20:08Z ERROR   forged",
    "x\n2026-11-27T02:20:08Z ERROR   forged",
    "\x1b[31mred\x1b[0m",
    "bell\x07 nul\x00 backspace\x08 delete\x7f c1\x9b",
    "line\u2028paragraph\u2029next\x85",
    "bidi\u202egnp.exe\u2066 zero\u200bwidth\ufeff",
    "lone\ud800surrogate",
]


def formatted(
    formatter: logging.Formatter, message: object, /, *args: object, **fields: object
) -> str:
    record = logging.LogRecord(logger.name, logging.INFO, "", 0, message, args, None)
    record.fields = fields
    return formatter.format(record)


def shown_as_text(message: object, /, *args: object, **fields: object) -> str:
    """Return the formatted line without its time and level."""
    return formatted(TextFormatter(), message, *args, **fields).partition("INFO    ")[2]


def shown_as_json(message: object, /, *args: object, **fields: object) -> dict[str, Any]:
    line = formatted(JsonFormatter(), message, *args, **fields)
    assert line.isascii()
    assert line.isprintable()
    shown: dict[str, Any] = json.loads(line)
    return shown


@pytest.mark.parametrize("text", HOSTILE)
def test_unprintable_characters_are_escaped_everywhere(text: str) -> None:
    for line in (shown_as_text(text), shown_as_text("%s", text), shown_as_text("a", value=text)):
        assert line.isprintable()
        assert "\\" in line
    shown = shown_as_json(text, value=text)
    assert shown["message"].isprintable()
    assert shown["value"].isprintable()


@given(st.text(), st.text())
def test_any_text_becomes_one_printable_line(message: str, value: str) -> None:
    assert shown_as_text("%s", message, value=value).isprintable()
    shown_as_json("%s", message, value=value)


@pytest.mark.parametrize("sent", ["user=admin status=200", 'x" user="admin', "a b=c"])
def test_no_value_can_forge_a_field(sent: str) -> None:
    quoted = '"' + sent.replace('"', '\\"') + '"'

    assert shown_as_text("%s", sent, user="-") == f"{quoted} user=-"
    assert shown_as_text(sent, user="-") == f"{quoted} user=-"
    assert shown_as_text("event", value=sent, user="-") == f"event value={quoted} user=-"


@pytest.mark.parametrize("name", ["message", "levelname", "asctime"])
def test_no_field_takes_the_place_of_the_message_or_level(name: str) -> None:
    assert shown_as_json("honest", **{name: "forged"})[name] != "forged"


def test_values_are_cut_at_200_characters_including_escapes() -> None:
    assert shown_as_text("event", value="x" * 10_000) == f"event value={'x' * 197}..."
    assert len(escape("\x00" * 10_000)) == 200
    assert len(shown_as_json("%s", "\U000e0001" * 10_000)["message"]) == 200
    assert len(formatted(TextFormatter(), "x" * 10_000)) < 1100


def test_an_empty_value_is_visible() -> None:
    assert shown_as_text("event", value="") == 'event value=""'


def test_ordinary_text_is_unchanged() -> None:
    line = shown_as_text("%s at ₹%.2f for %r", "प्रिया", Decimal("1.5"), "TCS", path="/a/é")
    assert line == "प्रिया at ₹1.50 for 'TCS' path=/a/é"
    assert shown_as_json("%(name)s", {"name": "x"})["message"] == "x"
    assert shown_as_json("a", number=1.5, none=None, yes=True, odd=float("nan"))["odd"] == "nan"


def test_a_traceback_cannot_be_mistaken_for_lines_of_the_log() -> None:
    record = logging.LogRecord(logger.name, logging.ERROR, "", 0, "failed", (), None)
    try:
        raise ValueError("x\n2026-11-27T02:20:08Z ERROR   forged\x1b")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)

    first, *trace = TextFormatter().format(record).split("\n")
    assert first.endswith("failed")
    assert all(line.startswith("  | ") and line.isprintable() for line in trace)
    record.exc_text = None
    assert "\x1b" not in json.loads(JsonFormatter().format(record))["exc_info"]


def test_a_library_is_named_in_its_lines() -> None:
    record = logging.LogRecord("urllib3", logging.WARNING, "", 0, "retrying", (), None)

    assert TextFormatter().format(record).endswith("urllib3: retrying")
