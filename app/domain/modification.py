"""Modifications: what a user changes about an entry order that waits, or about a bracket.

A field that is not given keeps its value; None removes a stop-loss, a target or a trailing stop.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from app.domain.bracket import Bracket
from app.domain.entry import EntryOrder
from app.domain.errors import InvalidFields
from app.domain.order import TimeInForce
from app.domain.quote import Quote
from app.domain.trailing import TrailingTerms, Unit

# What only an entry order that waits has.
ORDER_FIELDS = frozenset({"limit_price", "stop_price", "quantity", "time_in_force"})
LEVEL_FIELDS = frozenset({"stop_loss", "target_price"})
TRAILING_FIELDS = frozenset({"trailing_offset", "trailing_pct", "trailing_step"})


def modified_order(order: EntryOrder, fields: Mapping[str, Any], since: Quote) -> EntryOrder:
    """Return the order with other terms, which prices later than `since` may fill.

    Raises InvalidFields for a field that this order has no use for.
    """
    if faults := _faults(order, fields):
        raise InvalidFields(faults)
    return replace(order, **fields, placed=since, margin_basis=None)


def modified_bracket(bracket: Bracket, fields: Mapping[str, Any], since: Quote) -> Bracket:
    """Return the bracket with other levels, which prices later than `since` may reach."""
    return replace(bracket, **fields, levels_since=since)


def modified_trailing(
    terms: TrailingTerms | None, fields: Mapping[str, Any], tick_size: Decimal
) -> TrailingTerms | None:
    """Return the terms of a trailing stop after a change, None if it is removed.

    A new distance replaces the other kind, and keeps the step. Raises InvalidFields for a step
    without a distance.
    """
    offset, percent = fields.get("trailing_offset"), fields.get("trailing_pct")
    if offset is not None:
        unit, distance = Unit.RUPEES, offset
    elif percent is not None:
        unit, distance = Unit.PERCENT, percent
    elif terms is not None and fields.keys() <= {"trailing_step"}:
        unit, distance = terms.unit, terms.distance
    elif fields.get("trailing_step") is not None:
        raise InvalidFields({"trailing_step": "needs a trailing_offset or a trailing_pct"})
    else:
        return None
    step = fields.get("trailing_step", terms.step if terms else None)
    return TrailingTerms(unit, distance, step or tick_size, tick_size)


def changes_order(fields: Collection[str]) -> bool:
    """Return whether the fields belong to an entry order, so that it must still wait."""
    return not ORDER_FIELDS.isdisjoint(fields)


def _faults(order: EntryOrder, fields: Mapping[str, Any]) -> dict[str, str]:
    faults = {
        name: "cannot be removed"
        for name in sorted(ORDER_FIELDS & fields.keys())
        if fields[name] is None
    }
    kind = order.order_type
    for name, has_it in (("limit_price", kind.has_limit), ("stop_price", kind.has_stop)):
        if name in fields and not has_it:
            faults[name] = f"a {kind} order has none"
    if "stop_price" in fields and order.triggered_at is not None:
        faults["stop_price"] = "was reached already: the order is a limit order now"
    if fields.get("time_in_force") is TimeInForce.IOC:
        faults["time_in_force"] = "must be DAY or GTC for a pending order"
    return faults
