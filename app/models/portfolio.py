"""Portfolios: a user's virtual money, and the sums of their open trades by symbol.

A portfolio is found by its user and its name. Today each user has exactly one, the default.
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

DEFAULT_NAME = "default"


@dataclass(slots=True)
class PortfolioDelta:
    """What closing trades of one user changes in their portfolio. Amounts are rupees."""

    margin: Decimal = ZERO
    pnl: Decimal = ZERO
    trades: int = 0
    winners: int = 0
    exposure: dict[str, Position] = field(default_factory=dict)

    def add(self, symbol: str, closed: Position, margin: Decimal, pnl: Decimal) -> None:
        """Add one closed trade."""
        self.margin += margin
        self.pnl += pnl
        self.trades += 1
        self.winners += pnl > 0
        self.exposure[symbol] = self.exposure.get(symbol, Position()) + -closed


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Amounts are rupees. `trade_count` is the number of the user's newest trade."""

    id: ObjectId
    user_id: str
    name: str
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
        exposure = {
            key.replace(":", "."): Position(**sums) for key, sums in document["exposure"].items()
        }
        return cls(id=document["_id"], **values, exposure=exposure)

    @classmethod
    def create(cls, user_id: str, initial_margin: Decimal, now: datetime) -> tuple[Portfolio, bool]:
        """Return the user's portfolio, and whether this call created it."""
        existing = cls.find_by_user_id(user_id)
        if existing:
            return existing, False
        document: Document = {
            "_id": ObjectId(),
            **_by_user(user_id),
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
            # A concurrent request created it first.
            winner = cls.find_by_user_id(user_id)
            assert winner is not None
            return winner, False
        return cls.from_document(document), True

    @classmethod
    def find_by_user_id(cls, user_id: str) -> Portfolio | None:
        document = collection("portfolios").find_one(_by_user(user_id))
        return cls.from_document(document) if document else None

    @classmethod
    def available_margins(cls, user_ids: Collection[str]) -> dict[str, Decimal]:
        """Return the available rupees by user; users without a portfolio are left out."""
        fields = {"user_id": 1, "available_margin": 1}
        portfolios = collection("portfolios").find(_by_user({"$in": list(user_ids)}), fields)
        return {portfolio["user_id"]: portfolio["available_margin"] for portfolio in portfolios}

    @classmethod
    def all_user_ids(cls) -> list[str]:
        """Return the client_id of every user who has a portfolio."""
        portfolios = collection("portfolios").find({}, {"user_id": 1})
        return [portfolio["user_id"] for portfolio in portfolios]

    @classmethod
    def correct(cls, user_id: str, fields: Mapping[str, Any]) -> None:
        """Set fields of the user's portfolio to recomputed values."""
        changes = dict(fields)
        if "exposure" in changes:
            changes["exposure"] = {
                symbol.replace(".", ":"): asdict(position)
                for symbol, position in changes["exposure"].items()
            }
        collection("portfolios").update_one(_by_user(user_id), {"$set": changes})

    @classmethod
    def any_margin_in_use(cls) -> bool:
        """Return whether any user has an open trade. Reads every portfolio."""
        query = {"utilized_margin": {"$gt": ZERO}}
        return collection("portfolios").find_one(query, {"_id": 1}) is not None

    @classmethod
    def update_margin(
        cls, user_id: str, margin: Decimal, symbol: str, opened: Position, now: datetime
    ) -> Portfolio | None:
        """Block `margin` rupees for one new trade; return the updated portfolio.

        Its `trade_count` is the number of the new trade. Returns None, and changes nothing, if
        less is available or the user has no portfolio.
        """
        # SecantusDB: scans the collection for a find-and-modify. MongoDB would take one.
        blocked = collection("portfolios").update_one(
            {**_by_user(user_id), "available_margin": {"$gte": margin}},
            {
                "$inc": {
                    "available_margin": -margin,
                    "utilized_margin": margin,
                    "trade_count": 1,
                    **_exposure_increments(symbol, opened),
                },
                "$set": {"last_updated": now},
            },
        )
        return cls.find_by_user_id(user_id) if blocked.modified_count else None

    @classmethod
    def settle_many(cls, deltas: Mapping[str, PortfolioDelta], now: datetime) -> int:
        """Release margins and book P&L by user; return how many portfolios were found.

        A symbol without an open trade is removed from the exposure.
        """
        result = collection("portfolios").bulk_write(
            [
                UpdateOne(_by_user(user_id), _settled(delta, now))
                for user_id, delta in deltas.items()
            ],
            ordered=False,
        )
        return result.matched_count


_NOT_COPIED = ("id", "exposure")
_FIELDS = tuple(name for name in Portfolio.__dataclass_fields__ if name not in _NOT_COPIED)


def _by_user(user_id: str | Document) -> Document:
    """Return the query of the portfolio of a user: the one place that names it."""
    return {"user_id": user_id, "name": DEFAULT_NAME}


def _settled(delta: PortfolioDelta, now: datetime) -> list[Document]:
    increments: dict[str, Decimal | int] = {
        "available_margin": delta.margin + delta.pnl,
        "utilized_margin": -delta.margin,
        "total_pnl": delta.pnl,
        "closed_count": delta.trades,
        "winner_count": delta.winners,
    }
    return [
        {
            "$set": {
                **{field: _sum(field, amount) for field, amount in increments.items()},
                **{
                    _exposure_path(symbol): _reduced(_exposure_path(symbol), position)
                    for symbol, position in delta.exposure.items()
                },
                "last_updated": now,
            }
        }
    ]


def _reduced(path: str, closed: Position) -> Document:
    """Return an expression for the sums of a symbol, which removes them if all are zero."""
    sums = {name: _sum(f"{path}.{name}", amount) for name, amount in asdict(closed).items()}
    is_zero = {"$and": [{"$eq": [amount, 0]} for amount in sums.values()]}
    return {"$cond": [is_zero, "$$REMOVE", sums]}


def _sum(path: str, amount: Decimal | int) -> Document:
    return {"$add": [{"$ifNull": [f"${path}", 0]}, amount]}


def _exposure_path(symbol: str) -> str:
    # A dot in a field name would be a path.
    return f"exposure.{symbol.replace('.', ':')}"


def _exposure_increments(symbol: str, opened: Position) -> Document:
    path = _exposure_path(symbol)
    return {f"{path}.{name}": amount for name, amount in asdict(opened).items()}
