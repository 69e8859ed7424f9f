"""What sources say of a symbol beside its price, checked before anything trusts it."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from app.domain.money import parse_price
from app.domain.quote import NO_DETAILS, QuoteDetails

# Fits an integer of the database, and no share trades as much in a day.
_MAX_VOLUME = 10**15
# If two of these contradict each other, both are wrong.
_PAIRS = (("low", "high"), ("lower_band", "upper_band"))


def make_details(symbol: str, *, volume: object = None, **amounts: object) -> QuoteDetails:
    """Return the details of a symbol, of values as a source sent them.

    `amounts` are rupees by the name of their field. What is not a possible price is unknown, as
    are zeros: sources send them before the first trade, and for the bids and bands of an index.
    """
    known: dict[str, Any] = {name: parse_price(value) for name, value in amounts.items()}
    for lower, upper in _PAIRS:
        if (least := known.get(lower)) and (most := known.get(upper)) and least > most:
            known[lower] = known[upper] = None
    known["volume"] = None if symbol.startswith("^") else parse_volume(volume)
    details = QuoteDetails(**known)
    return NO_DETAILS if details == NO_DETAILS else details


def parse_volume(value: object) -> int | None:
    """Return a value from a source as a number of units, None if it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if not math.isfinite(value) or not 0 <= value <= _MAX_VOLUME or value != int(value):
        return None
    return int(value)
