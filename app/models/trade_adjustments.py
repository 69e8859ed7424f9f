"""What corporate actions changed about a trade, as its document holds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from app.database import Document
from app.domain.bracket import Bracket
from app.domain.corporate_actions import ActionKind, Adjusted, Adjustment, Ratio, factor_after
from app.domain.fill import Exit
from app.domain.money import ZERO, to_paisa
from app.models.trade_document import modified_fields


def adjusted_fields(adjusted: Adjusted) -> Document:
    """Return the fields of the terms after an action; none if it changes no terms."""
    terms = adjusted.terms
    if not adjusted.adjustment.kind.changes_units:
        return {}
    if isinstance(terms, Bracket):
        entry = {"quantity": terms.quantity, "entry_price": terms.entry_price}
        return modified_fields(terms) | entry
    return modified_fields(terms)


def adjustment_fields(adjustment: Adjustment) -> Document:
    """Return the document of what an action changed."""
    return asdict(adjustment) | {
        "kind": adjustment.kind.value,
        "ex_date": adjustment.ex_date.isoformat(),
    }


def read_adjustments(document: Document) -> tuple[Adjustment, ...]:
    """Return what actions changed about a trade, in order."""
    return tuple(map(_read, document.get("adjustments", ())))


def average_price(exits: Sequence[Exit], adjustments: Sequence[Adjustment]) -> Decimal | None:
    """Return the average price of all exits in the units after the adjustments; None without one.

    It is weighted by quantity.
    """
    if not exits:
        return None
    value = sum((exit.price * exit.quantity for exit in exits), ZERO)
    units = sum(
        (exit.quantity * factor_after(adjustments, number) for number, exit in enumerate(exits)),
        Fraction(0),
    )
    return value * units.denominator / units.numerator


def bracket_before(
    bracket: Bracket, parts: Sequence[Exit], adjustments: Iterable[Adjustment]
) -> Bracket:
    """Return a bracket in the units before these adjustments, the last ones.

    `parts` are the exits of parts. The levels are those of now.
    """
    first = next((each for each in adjustments if each.is_of_bracket), None)
    if first is None or first.entry_price_before is None:
        return bracket
    quantity = sum(part.quantity for part in parts[: first.exits]) + first.quantity_before
    return replace(bracket, quantity=quantity, entry_price=first.entry_price_before)


def margin_share(
    margin: Decimal,
    quantity: int,
    whole: int,
    parts: Sequence[Exit],
    adjustments: Sequence[Adjustment],
) -> Decimal:
    """Return the rupees of a margin that the exit of a quantity of the `whole` releases."""
    last = last_of_units(adjustments)
    if last is None:
        return to_paisa(margin * quantity / whole)
    # The rest in proportion to the units that it was adjusted to.
    exited = sum(exit.quantity for exit in parts[: last.exits])
    return margin - last.margin + to_paisa(last.margin * (quantity - exited) / last.quantity)


def last_of_units(adjustments: Sequence[Adjustment]) -> Adjustment | None:
    """Return the last change of the units of a trade that was entered."""
    latest = reversed(adjustments)
    return next((each for each in latest if each.is_of_bracket and each.kind.changes_units), None)


def _read(fields: Document) -> Adjustment:
    ratio = fields["ratio"]
    return Adjustment(
        **{
            **fields,
            "kind": ActionKind(fields["kind"]),
            "ex_date": date.fromisoformat(fields["ex_date"]),
            "ratio": Ratio(**ratio) if ratio else None,
        }
    )
