"""The desk's words for the codes of the API, and the contrast of its colours."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from enum import StrEnum
from itertools import product
from typing import get_args

import pytest

from app.desk.files import STATIC
from app.domain.corporate_actions import ActionKind
from app.domain.fill import ExitReason, FillRule
from app.domain.fill_profile import FillProfile
from app.domain.quote import Source
from app.domain.trade import EndReason, TradeStatus
from app.domain.triggers import SettledFrom
from app.models import EventType
from app.portfolio.funds_schemas import ActivityView
from app.realtime.asyncapi import TRADE_UPDATES

# The codes that have words, by the name of their table in reasons.js.
CODES: dict[str, Iterable[str | StrEnum]] = {
    "STATUSES": TradeStatus,
    "END_REASONS": EndReason,
    "EXIT_REASONS": ExitReason,
    "RULES": FillRule,
    "SETTLED_FROM": SettledFrom,
    "ACTIONS": ActionKind,
    "MOVEMENTS": get_args(ActivityView.model_fields["kind"].annotation),
    "SOURCES": Source,
    "EVENTS": EventType,
    "NOTICES": set(TRADE_UPDATES) - set(EventType),
    "FILL_PROFILES": FillProfile,
    "FILL_PROFILE_MEANINGS": FillProfile,
}
TEXTS = ("text", "muted", "accent", "up", "down", "warn")
GROUNDS = ("page", "panel", "raised", "hover", "accent-soft", "up-soft", "down-soft", "warn-soft")
ON_FILLS = (("on-accent", "accent"), ("on-fill", "up"), ("on-fill", "down"))
# Of WCAG 2.2, level AA.
MIN_CONTRAST = 4.5


@pytest.mark.needs("node", package="nodejs")
def test_every_code_that_the_api_can_send_has_words() -> None:
    module = (STATIC / "reasons.js").read_text()
    tables = f"{{{', '.join(CODES)}}}"
    result = subprocess.run(
        ["node", "--input-type=module"],
        input=f"{module}\nconsole.log(JSON.stringify({tables}));",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    words: dict[str, dict[str, str]] = json.loads(result.stdout)

    assert {name: set(table) for name, table in words.items()} == {
        name: {str(code) for code in codes} for name, codes in CODES.items()
    }
    assert all(text for table in words.values() for text in table.values())
    assert all("LEVEL" in text and "TICK" in text for text in words["RULES"].values())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_enough_contrast_on_every_ground(theme: str) -> None:
    colours = _colours("theme.css")
    if theme == "dark":
        colours |= _colours("theme-dark.css")
    pairs = [*product(TEXTS, GROUNDS), *ON_FILLS]
    contrasts = {pair: _contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}

    assert {pair: value for pair, value in contrasts.items() if value < MIN_CONTRAST} == {}


def _colours(name: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", (STATIC / name).read_text()))


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    """Return the relative luminance by WCAG 2.2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
