"""The details of stored quotes.

Amounts are whole paise as integers: a pass stores hundreds of quotes, and a Decimal128 takes many
times as long to write and to read.
"""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import Any

from app.database import Document
from app.domain.quote import NO_DETAILS, QuoteDetails

_AMOUNTS = tuple(field.name for field in fields(QuoteDetails) if field.name != "volume")


def details_document(details: QuoteDetails) -> Document:
    """Return the document of what is known, {} if that is nothing."""
    if details is NO_DETAILS:
        return {}
    document: Document = {
        name: int(amount.scaleb(2))
        for name in _AMOUNTS
        if (amount := getattr(details, name)) is not None
    }
    if details.volume is not None:
        document["volume"] = details.volume
    return document


def read_details(document: Document | None) -> QuoteDetails:
    """Return the details of a stored quote; none of one that an earlier version stored."""
    if not document:
        return NO_DETAILS
    values: dict[str, Any] = {
        name: Decimal(document[name]).scaleb(-2) for name in _AMOUNTS if name in document
    }
    return QuoteDetails(**values, volume=document.get("volume"))
