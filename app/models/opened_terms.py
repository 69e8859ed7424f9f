"""The terms that a trade was opened with, kept once they change."""

from __future__ import annotations

from app.database import Document
from app.domain.bracket import Bracket
from app.domain.entry import EntryOrder
from app.models.trade_document import (
    NO_TRAILING_STOP,
    order_fields,
    read_bracket,
    read_order,
    trailing_fields,
)


def opened_fields(order: EntryOrder | None, bracket: Bracket | None) -> Document:
    """Return the fields that a modification may change, as they were when the trade was opened."""
    if order is not None:
        return NO_TRAILING_STOP | order_fields(order)
    assert bracket is not None
    return {
        **NO_TRAILING_STOP,
        "stop_loss": bracket.stop_loss,
        "target_price": bracket.target_price,
        **(trailing_fields(bracket.trailing) if bracket.trailing else {}),
    }


def read_opened_as(document: Document) -> Bracket | EntryOrder | None:
    """Return the terms that a trade was opened with, None if they were never modified."""
    if (opened := document.get("opened_as")) is None:
        return None
    terms = document | {"ordered_quantity": None} | opened
    return read_order(terms) or read_bracket(terms)
