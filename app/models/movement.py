"""Movements: every change of a portfolio's money that is not the result of an exit.

Each is written in the transaction of its change. The results of exits are in the trades, and so is
what a corporate action booked: its movement is a line of the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from bson import ObjectId

from app.database import Document, collection
from app.database.hints import use_index

BY_TIME = ("user_id", "portfolio_id", "created_at")


class MovementKind(StrEnum):
    """OPENING begins the first season of a portfolio, RESET each later one.

    DIVIDEND and CORPORATE_ACTION are parts of the P&L of a trade that no exit realized.
    """

    OPENING = "opening"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    RESET = "reset"
    DIVIDEND = "dividend"
    CORPORATE_ACTION = "corporate_action"


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement. Amounts are rupees.

    `amount` is what it adds to the available margin: a withdrawal is negative, a reset is the
    difference between the new season's initial margin and the balance before. `balance_after` is
    the available margin after it. A reset belongs to the season that it begins.
    """

    id: ObjectId
    user_id: str
    portfolio_id: ObjectId
    season: int
    kind: MovementKind
    amount: Decimal
    balance_after: Decimal
    created_at: datetime
    # The trade whose P&L it is a part of, and its symbol.
    trade_id: ObjectId | None = None
    symbol: str | None = None

    @classmethod
    def from_document(cls, document: Document) -> Movement:
        values = {name: document[name] for name in _FIELDS}
        values |= {name: document.get(name) for name in _OF_TRADE}
        return cls(id=document["_id"], **{**values, "kind": MovementKind(values["kind"])})

    @classmethod
    def create(
        cls,
        *,
        user_id: str,
        portfolio_id: ObjectId,
        season: int,
        kind: MovementKind,
        amount: Decimal,
        balance_after: Decimal,
        created_at: datetime,
        trade_id: ObjectId | None = None,
        symbol: str | None = None,
    ) -> Movement:
        """Insert a movement; call it in the transaction of its change."""
        document: Document = {
            "user_id": user_id,
            "portfolio_id": portfolio_id,
            "season": season,
            "kind": kind.value,
            "amount": amount,
            "balance_after": balance_after,
            "created_at": created_at,
            **({"trade_id": trade_id, "symbol": symbol} if trade_id else {}),
        }
        collection("movements").insert_one(document)
        return cls.from_document(document)

    @classmethod
    def find_by_id(cls, user_id: str, movement_id: ObjectId) -> Movement | None:
        """Return the user's movement; None for an unknown one or another user's."""
        document = collection("movements").find_one({"_id": movement_id, "user_id": user_id})
        return cls.from_document(document) if document else None

    @classmethod
    def find_season(cls, user_id: str, portfolio_id: ObjectId, season: int) -> list[Movement]:
        """Return all movements of a season of the user's portfolio."""
        query = {"user_id": user_id, "portfolio_id": portfolio_id, "season": season}
        found = collection("movements").find(query, **use_index(*BY_TIME))
        return [cls.from_document(document) for document in found]


_OF_TRADE = ("trade_id", "symbol")
_FIELDS = tuple(name for name in Movement.__dataclass_fields__ if name not in ("id", *_OF_TRADE))
