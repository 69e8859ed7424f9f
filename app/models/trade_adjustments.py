"""What corporate actions changed about a trade, as its document holds it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

from app.database import Document
from app.domain.bracket import Bracket
from app.domain.corporate_actions import ActionKind, Adjusted, Adjustment, Ratio
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
