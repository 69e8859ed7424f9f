"""The bounds in the database against all that waits, read without the application's models."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.support.own_client import collection

LEVELS = {"trades": ("trigger_below", "trigger_above"), "alerts": ("below", "above")}


def assert_bounds_hold() -> None:
    """Check that nothing waits for a price between the bounds of its symbol."""
    # In this order: bounds are widened before what they are widened for is written.
    levels = [
        (each["symbol"], each.get(below), each.get(above))
        for name, (below, above) in LEVELS.items()
        for each in collection(name).find({"waiting": True})
    ]
    bounds = {each["_id"]: stored_bounds(each) for each in collection("bounds").find()}
    for symbol, below, above in levels:
        low, high = bounds.get(symbol) or (None, None)
        # Without a stored bound every tick is looked at.
        if low is not None and high is not None:
            assert below is None or below <= low, f"{symbol}: a fall to {below}, bound {low}"
            assert above is None or above >= high, f"{symbol}: a rise to {above}, bound {high}"


def stored_bounds(document: dict[str, Any]) -> tuple[Decimal, Decimal] | None:
    """Return the bounds that a document tells, None if they are unknown."""
    if "settled" not in document:
        return None
    parts = [document.get(name, {}) for name in ("settled", "earlier", "recent")]
    return (
        max(part["below"] for part in parts if "below" in part),
        min(part["above"] for part in parts if "above" in part),
    )


def bounds_of(symbol: str) -> tuple[Decimal, Decimal] | None:
    """Return the bounds of a symbol, None if they are unknown."""
    document = collection("bounds").find_one({"_id": symbol})
    return stored_bounds(document) if document else None
