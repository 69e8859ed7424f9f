"""Portfolios: virtual money of a user, and the sums of its open trades by symbol.

A portfolio is found by its user and its name, and never renamed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument, UpdateOne

from app.database import Document, collection
from app.domain.fill_profile import FillProfile
from app.domain.money import ZERO
from app.domain.portfolio import DEFAULT_NAME, MAX_BALANCE
from app.domain.position import Position
from app.models.bulk import by_owner
from app.models.movement import Movement, MovementKind
from app.models.season import Season


@dataclass(slots=True)
class PortfolioDelta:
    """What changes of trades change in the portfolio of a user. Amounts are rupees.

    `margin` is what is released, `trades` and `winners` count the trades that were closed, and
    `rests` those that were added for the rests of orders.
    """

    user_id: str
    margin: Decimal = ZERO
    pnl: Decimal = ZERO
    trades: int = 0
    winners: int = 0
    rests: int = 0
    exposure: dict[str, Position] = field(default_factory=dict)

    def add(
        self,
        symbol: str,
        exited: Position,
        margin: Decimal,
        pnl: Decimal,
        trade_pnl: Decimal | None = None,
    ) -> None:
        """Add the exit of a position, which counts as a trade if it closes one.

        `trade_pnl` is what all exits of the trade realized, if `pnl` is only a part of it.
        """
        self.margin += margin
        self.pnl += pnl
        self.trades += exited.trades
        self.winners += exited.trades * ((pnl if trade_pnl is None else trade_pnl) > 0)
        self.hold(symbol, -exited)

    def hold(self, symbol: str, position: Position) -> None:
        """Add a position; subtract one that is negated."""
        self.exposure[symbol] = self.exposure.get(symbol, Position()) + position


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Amounts are rupees. `trade_count` is the number of its newest trade.

    The sums are of the current season, whose first trade has the number after `season_start`.
    `seasons` are the past ones, oldest first.
    """

    id: ObjectId
    user_id: str
    name: str
    initial_margin: Decimal
    deposits: Decimal
    withdrawals: Decimal
    available_margin: Decimal
    utilized_margin: Decimal
    total_pnl: Decimal
    trade_count: int
    closed_count: int
    winner_count: int
    season: int
    season_start: int
    season_started_at: datetime
    seasons: Sequence[Season]
    exposure: Mapping[str, Position]
    created_at: datetime
    last_updated: datetime
    # None for that of the server.
    fill_profile: FillProfile | None = None

    @property
    def current_season(self) -> Season:
        return Season(
            number=self.season,
            initial_margin=self.initial_margin,
            deposits=self.deposits,
            withdrawals=self.withdrawals,
            total_pnl=self.total_pnl,
            first_number=self.season_start + 1,
            last_number=self.trade_count,
            closed_count=self.closed_count,
            winner_count=self.winner_count,
            started_at=self.season_started_at,
        )

    def find_season(self, number: int | None) -> Season | None:
        """Return the season with this number, the current one for None; None if unknown."""
        if number in (None, self.season):
            return self.current_season
        return next((season for season in self.seasons if season.number == number), None)

    @classmethod
    def from_document(cls, document: Document) -> Portfolio:
        values = {key: document[key] for key in _FIELDS}
        exposure = {
            key.replace(":", "."): Position(**sums) for key, sums in document["exposure"].items()
        }
        seasons = [Season.from_document(season) for season in document["seasons"]]
        own = document.get("fill_profile")
        profile = FillProfile(own) if own else None
        return cls(
            id=document["_id"],
            **values,
            seasons=seasons,
            exposure=exposure,
            fill_profile=profile,
        )

    @classmethod
    def create(
        cls,
        user_id: str,
        initial_margin: Decimal,
        now: datetime,
        name: str = DEFAULT_NAME,
        fill_profile: FillProfile | None = None,
    ) -> Portfolio:
        """Insert a portfolio and its first movement; call it in a transaction.

        Raises DuplicateKeyError if the user has one of this name.
        """
        document: Document = {
            "_id": ObjectId(),
            **_by_name(user_id, name),
            **_season_start(initial_margin, now),
            **FIRST_SEASON,
            "trade_count": 0,
            "created_at": now,
            **({"fill_profile": fill_profile.value} if fill_profile else {}),
        }
        collection("portfolios").insert_one(document)
        Movement.create(
            user_id=user_id,
            portfolio_id=document["_id"],
            season=1,
            kind=MovementKind.OPENING,
            amount=initial_margin,
            balance_after=initial_margin,
            created_at=now,
        )
        return cls.from_document(document)

    @classmethod
    def find_by_user_id(cls, user_id: str, name: str = DEFAULT_NAME) -> Portfolio | None:
        document = collection("portfolios").find_one(_by_name(user_id, name))
        return cls.from_document(document) if document else None

    @classmethod
    def find_all(cls, user_id: str) -> list[Portfolio]:
        """Return the user's portfolios, the oldest first."""
        found = collection("portfolios").find({"user_id": user_id})
        portfolios = [cls.from_document(document) for document in found]
        return sorted(portfolios, key=lambda portfolio: (portfolio.created_at, portfolio.id))

    @classmethod
    def find_by_ids(cls, owners: Mapping[ObjectId, str]) -> list[Portfolio]:
        """Return these portfolios, at least one, each of its owner."""
        return [cls.from_document(each) for each in collection("portfolios").find(by_owner(owners))]

    @classmethod
    def available_margins(cls, user_ids: Collection[str]) -> dict[str, dict[str, Decimal]]:
        """Return the available rupees by user and name of the portfolio."""
        fields = {"user_id": 1, "name": 1, "available_margin": 1}
        margins: dict[str, dict[str, Decimal]] = defaultdict(dict)
        for found in collection("portfolios").find({"user_id": {"$in": list(user_ids)}}, fields):
            margins[found["user_id"]][found["name"]] = found["available_margin"]
        return margins

    @classmethod
    def count_trades(cls) -> dict[str, int]:
        """Return the trades of current seasons by user, of every user who has a portfolio."""
        counts: dict[str, int] = defaultdict(int)
        fields = {"user_id": 1, "trade_count": 1, "season_start": 1}
        for found in collection("portfolios").find({}, fields):
            counts[found["user_id"]] += found["trade_count"] - found.get("season_start", 0)
        return dict(counts)

    @classmethod
    def set_fill_profile(
        cls, user_id: str, name: str, profile: FillProfile | None, now: datetime
    ) -> Portfolio | None:
        """Set the fill profile of its next trades; return the portfolio, None if unknown.

        None stands for that of the server.
        """
        value = profile.value if profile else None
        collection("portfolios").update_one(
            _by_name(user_id, name), {"$set": {"fill_profile": value, "last_updated": now}}
        )
        return cls.find_by_user_id(user_id, name)

    def correct(self, fields: Mapping[str, Any]) -> None:
        """Set fields of the portfolio to recomputed values."""
        changes = dict(fields)
        if "exposure" in changes:
            changes["exposure"] = {
                symbol.replace(".", ":"): asdict(position)
                for symbol, position in changes["exposure"].items()
            }
        collection("portfolios").update_one(_by_id(self.id, self.user_id), {"$set": changes})

    @classmethod
    def any_margin_in_use(cls) -> bool:
        """Return whether any user has an open trade. Reads every portfolio."""
        query = {"utilized_margin": {"$gt": ZERO}}
        return collection("portfolios").find_one(query, {"_id": 1}) is not None

    @classmethod
    def update_margin(
        cls,
        user_id: str,
        margin: Decimal,
        symbol: str,
        opened: Position | None,
        now: datetime,
        name: str = DEFAULT_NAME,
    ) -> Portfolio | None:
        """Block `margin` rupees for one new trade; return the updated portfolio.

        `opened` is the position that the trade opens, None if it waits for its entry. Its
        `trade_count` is the number of the new trade. Returns None, and changes nothing, if
        less is available or the user has no portfolio of this name.
        """
        increments: Document = {
            "available_margin": -margin,
            "utilized_margin": margin,
            "trade_count": 1,
        }
        if opened:
            path = _exposure_path(symbol)
            increments |= {f"{path}.{name}": amount for name, amount in asdict(opened).items()}
        return cls._increase(user_id, name, {"$gte": margin}, increments, now)

    @classmethod
    def move_funds(
        cls, user_id: str, name: str, amount: Decimal, now: datetime
    ) -> Portfolio | None:
        """Deposit `amount` rupees, or withdraw a negative amount; return the updated portfolio.

        Returns None, and changes nothing, if less is available, it would hold too much, or the
        user has no portfolio of this name.
        """
        sum_field = "deposits" if amount > 0 else "withdrawals"
        guard = {"$lte": MAX_BALANCE - amount} if amount > 0 else {"$gte": -amount}
        increments = {"available_margin": amount, sum_field: abs(amount)}
        return cls._increase(user_id, name, guard, increments, now)

    @classmethod
    def _increase(
        cls, user_id: str, name: str, available: Document, increments: Document, now: datetime
    ) -> Portfolio | None:
        """Increase sums if the `available` margin is as expected; return the updated portfolio."""
        document = collection("portfolios").find_one_and_update(
            {**_by_name(user_id, name), "available_margin": available},
            {"$inc": increments, "$set": {"last_updated": now}},
            return_document=ReturnDocument.AFTER,
        )
        return cls.from_document(document) if document else None

    def begin_season(self, initial_margin: Decimal, now: datetime) -> tuple[Season, Movement]:
        """End the season of a portfolio without open trades; return it, and the next one's start.

        Call it in the transaction that read the portfolio.
        """
        ended = replace(self.current_season, ended_at=now)
        seasons = [*self.seasons, ended][-MAX_SEASONS:]
        fresh = {
            **_season_start(initial_margin, now),
            "season": self.season + 1,
            "season_start": self.trade_count,
            "seasons": [season.to_document() for season in seasons],
        }
        guard = {**_by_id(self.id, self.user_id), "season": self.season}
        if not collection("portfolios").update_one(guard, {"$set": fresh}).matched_count:
            raise RuntimeError("a portfolio changed in the transaction that resets it")
        movement = Movement.create(
            user_id=self.user_id,
            portfolio_id=self.id,
            season=self.season + 1,
            kind=MovementKind.RESET,
            amount=initial_margin - self.available_margin,
            balance_after=initial_margin,
            created_at=now,
        )
        return ended, movement

    @classmethod
    def settle_many(cls, deltas: Mapping[ObjectId, PortfolioDelta], now: datetime) -> int:
        """Release or block margins and book P&L by portfolio; return how many were found.

        A symbol without an open trade is removed from the exposure.
        """
        result = collection("portfolios").bulk_write(
            [
                UpdateOne(_by_id(portfolio_id, delta.user_id), _settled(delta, now))
                for portfolio_id, delta in deltas.items()
            ],
            ordered=False,
        )
        return result.matched_count


# Of a new portfolio, and of one of an earlier version.
FIRST_SEASON: Mapping[str, Any] = {"season": 1, "season_start": 0, "seasons": []}
# Past seasons that are kept: each is read with the portfolio.
MAX_SEASONS = 100
# Sums of a season, in rupees.
_OF_SEASON = ("deposits", "withdrawals", "utilized_margin", "total_pnl")
_NOT_COPIED = ("id", "seasons", "exposure", "fill_profile")
_FIELDS = tuple(name for name in Portfolio.__dataclass_fields__ if name not in _NOT_COPIED)


def _season_start(initial_margin: Decimal, now: datetime) -> Document:
    """Return the fields of a portfolio that are the same at the start of every season."""
    return {
        **dict.fromkeys(_OF_SEASON, ZERO),
        **dict.fromkeys(("closed_count", "winner_count"), 0),
        "initial_margin": initial_margin,
        "available_margin": initial_margin,
        "season_started_at": now,
        "exposure": {},
        "last_updated": now,
    }


def _by_name(user_id: str, name: str) -> Document:
    return {"user_id": user_id, "name": name}


def _by_id(portfolio_id: ObjectId, user_id: str) -> Document:
    """Return the query of a portfolio; it names the user, so that a shard key would serve."""
    return {"_id": portfolio_id, "user_id": user_id}


def _settled(delta: PortfolioDelta, now: datetime) -> list[Document]:
    increments: dict[str, Decimal | int] = {
        "available_margin": delta.margin + delta.pnl,
        "utilized_margin": -delta.margin,
        "total_pnl": delta.pnl,
        "closed_count": delta.trades,
        "winner_count": delta.winners,
        **({"trade_count": delta.rests} if delta.rests else {}),
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
