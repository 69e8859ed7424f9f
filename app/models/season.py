"""Seasons: a portfolio's life from one reset to the next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal

from app.database import Document


@dataclass(frozen=True, slots=True)
class Season:
    """One season. Amounts are rupees; `ended_at` is None for the current one.

    Its trades are those with a number from `first_number` to `last_number`; there are none if the
    first is greater.
    """

    number: int
    initial_margin: Decimal
    deposits: Decimal
    withdrawals: Decimal
    total_pnl: Decimal
    first_number: int
    last_number: int
    closed_count: int
    winner_count: int
    started_at: datetime
    ended_at: datetime | None = None

    @classmethod
    def from_document(cls, document: Document) -> Season:
        return cls(**document)

    def to_document(self) -> Document:
        return asdict(self)

    @property
    def balance(self) -> Decimal:
        """The rupees at its end, or now: available and utilized margin."""
        return self.initial_margin + self.deposits - self.withdrawals + self.total_pnl
