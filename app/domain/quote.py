"""A quote: what one source said one symbol was worth at one time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Source(StrEnum):
    ANGEL_ONE = "angel_one"
    YAHOO = "yahoo"
    REPLAY = "replay"
    MOCK = "mock"

    @property
    def is_real(self) -> bool:
        """Whether the price comes from an exchange rather than from this program."""
        return self in REAL_SOURCES


REAL_SOURCES = frozenset({Source.ANGEL_ONE, Source.YAHOO})


@dataclass(frozen=True, slots=True)
class Quote:
    """One price. `price` is rupees in whole paise; `timestamp` is the source's time, UTC."""

    symbol: str
    price: Decimal
    source: Source
    timestamp: datetime
