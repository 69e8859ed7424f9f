"""Portfolios: a user's money, and what their open trades add up to.

The `_id` is the user's client_id, and there is no other index: each fill and each exit changes the
document, and every index would be written anew with it (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from app.database import Document, collection
from app.domain.money import ZERO
from app.domain.position import Position


@dataclass(slots=True)
class PortfolioDelta:
    """What closing some of a user's trades changes in their portfolio. Amounts are rupees."""

    margin: Decimal = ZERO
    pnl: Decimal = ZERO
    trades: int = 0
    winners: int = 0
    exposure: dict[str, Position] = field(default_factory=dict)

    def add(self, symbol: str, closed: Position, margin: Decimal, pnl: Decimal) -> None:
        """Count one closed trade in."""
        self.margin += margin
        self.pnl += pnl
        self.trades += 1
        self.winners += pnl > 0
        self.exposure[symbol] = self.exposure.get(symbol, Position()) + -closed


@dataclass(frozen=True, slots=True)
class Portfolio:
    id: ObjectId
    user_id: str
    initial_margin: Decimal
    available_margin: Decimal
    utilized_margin: Decimal
    total_pnl: Decimal
    trade_count: int
    closed_count: int
    winner_count: int
    exposure: Mapping[str, Position]
    created_at: datetime
    last_updated: datetime

    @classmethod
    def from_document(cls, document: Document) -> Portfolio:
        values = {key: document[key] for key in _FIELDS}
        exposure = {_symbol(key): Position(**value) for key, value in document["exposure"].items()}
        return cls(
            id=document["portfolio_id"], user_id=document["_id"], **values, exposure=exposure
        )

    @classmethod
    def create(
        cls,
        user_id: str,
        initial_margin: Decimal,
        now: datetime,
    ) -> tuple[Portfolio, bool]:
        """Return the user's portfolio and whether it was made just now."""
        existing = cls.find_by_user_id(user_id)
        if existing:
            return existing, False
        document: Document = {
            "_id": user_id,
            "portfolio_id": ObjectId(),
            "initial_margin": initial_margin,
            "available_margin": initial_margin,
            "utilized_margin": ZERO,
            "total_pnl": ZERO,
            "trade_count": 0,
            "closed_count": 0,
            "winner_count": 0,
            "exposure": {},
            "created_at": now,
            "last_updated": now,
        }
        try:
            collection("portfolios").insert_one(document)
        except DuplicateKeyError:
            # The `_id` decided between two requests at once; this is the other one.
            winner = cls.find_by_user_id(user_id)
            assert winner is not None
            return winner, False
        return cls.from_document(document), True

    @classmethod
    def find_by_user_id(cls, user_id: str) -> Portfolio | None:
        document = collection("portfolios").find_one({"_id": user_id})
        return cls.from_document(document) if document else None

    @classmethod
    def available_margins(cls, user_ids: Collection[str]) -> dict[str, Decimal]:
        """Return the available rupees of those of the users that have a portfolio."""
        found = collection("portfolios").find(
            {"_id": {"$in": list(user_ids)}}, {"available_margin": 1}
        )
        return {each["_id"]: each["available_margin"] for each in found}

    @classmethod
    def all_user_ids(cls) -> list[str]:
        """Return whose portfolios there are."""
        return [each["_id"] for each in collection("portfolios").find({}, {"_id": 1})]

    @classmethod
    def correct(cls, user_id: str, fields: Mapping[str, Any]) -> None:
        """Set fields to what they were found to have to be."""
        changes = dict(fields)
        if "exposure" in changes:
            changes["exposure"] = {
                _key(symbol): asdict(each) for symbol, each in changes["exposure"].items()
            }
        collection("portfolios").update_one({"_id": user_id}, {"$set": changes})

    @classmethod
    def any_margin_in_use(cls) -> bool:
        """Tell whether anyone has a trade open. Reads every portfolio."""
        query = {"utilized_margin": {"$gt": ZERO}}
        return collection("portfolios").find_one(query, {"_id": 1}) is not None

    @classmethod
    def update_margin(
        cls,
        user_id: str,
        margin: Decimal,
        symbol: str,
        opened: Position,
        now: datetime,
    ) -> Portfolio | None:
        """Block `margin` rupees for one new trade, if that much is available.

        Returns the portfolio as it is then, its `trade_count` being the new trade's number;
        None, with nothing changed, where the margin is too small or there is no portfolio.
        """
        # Written, then read in the same transaction: for a find-and-modify the embedded database
        # scans the collection (docs/decisions.md).
        blocked = collection("portfolios").update_one(
            {"_id": user_id, "available_margin": {"$gte": margin}},
            {
                "$inc": {
                    "available_margin": -margin,
                    "utilized_margin": margin,
                    "trade_count": 1,
                    **_exposure_increments({symbol: opened}),
                },
                "$set": {"last_updated": now},
            },
        )
        return cls.find_by_user_id(user_id) if blocked.modified_count else None

    @classmethod
    def settle_many(cls, settlements: Mapping[str, PortfolioDelta], now: datetime) -> int:
        """Release margins and book P&L, a line per user; return how many users it met."""
        result = collection("portfolios").bulk_write(
            [
                UpdateOne({"_id": user_id}, _settled(settlement, now))
                for user_id, settlement in settlements.items()
            ],
            ordered=False,
        )
        return result.matched_count


_NOT_COPIED = ("id", "user_id", "exposure")
_FIELDS = tuple(name for name in Portfolio.__dataclass_fields__ if name not in _NOT_COPIED)


def _settled(settlement: PortfolioDelta, now: datetime) -> Document:
    return {
        "$inc": {
            "available_margin": settlement.margin + settlement.pnl,
            "utilized_margin": -settlement.margin,
            "total_pnl": settlement.pnl,
            "closed_count": settlement.trades,
            "winner_count": settlement.winners,
            **_exposure_increments(settlement.exposure),
        },
        "$set": {"last_updated": now},
    }


def _exposure_increments(exposure: Mapping[str, Position]) -> Document:
    return {
        f"exposure.{_key(symbol)}.{name}": getattr(each, name)
        for symbol, each in exposure.items()
        for name in ("trades", "quantity", "cost")
    }


def _key(symbol: str) -> str:
    # A dot in a field's name would be a path.
    return symbol.replace(".", ":")


def _symbol(key: str) -> str:
    return key.replace(":", ".")
