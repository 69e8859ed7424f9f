"""Trades: brackets with an owner, a number and a status."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal

from bson import ObjectId
from pymongo import UpdateMany

from app.database import Document, collection
from app.database.batches import batched
from app.database.hints import use_index
from app.domain.bracket import Bracket, Exit, ExitReason, TradeType
from app.domain.money import ZERO
from app.domain.quote import Posting, Quote, Source
from app.domain.trade import TradeStatus, Transition
from app.domain.triggers import SettledFrom
from app.models.bulk import IN_CLAUSE_SIZE, by_owner, value_by_id
from app.models.paging import newest_first, numbered_windows
from app.models.trigger_index import TriggerIndex

BY_NUMBER = ("user_id", "portfolio_id", "status", "number")
INDEX = TriggerIndex("trades", below="trigger_below", above="trigger_above")


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade. `number` counts the trades of its portfolio from 1; `margin_used` is rupees.

    `portfolio` is the name of the portfolio, which never changes.
    """

    id: ObjectId
    user_id: str
    portfolio_id: ObjectId
    portfolio: str
    number: int
    symbol: str
    bracket: Bracket
    status: TradeStatus
    margin_used: Decimal
    created_at: datetime
    # The user's own id of the order, and a hash that tells it from another of the same id.
    client_order_id: str | None = None
    order_fingerprint: str | None = None
    exit: Exit | None = None
    closed_at: datetime | None = None

    @classmethod
    def from_document(cls, document: Document) -> Trade:
        posting = document.get("entry_posting")
        return cls(
            id=document["_id"],
            user_id=document["user_id"],
            portfolio_id=document["portfolio_id"],
            portfolio=document["portfolio"],
            number=document["number"],
            symbol=document["symbol"],
            bracket=Bracket(
                trade_type=TradeType(document["trade_type"]),
                quantity=document["quantity"],
                entry_price=document["entry_price"],
                entry_source=Source(document["entry_source"]),
                entry_timestamp=document["entry_timestamp"],
                stop_loss=document["stop_loss"],
                target_price=document["target_price"],
                entry_posting=Posting(**posting) if posting else None,
            ),
            status=TradeStatus(document["status"]),
            margin_used=document["margin_used"],
            created_at=document["created_at"],
            client_order_id=document.get("client_order_id"),
            order_fingerprint=document.get("order_fingerprint"),
            exit=_exit(document) if document.get("closed_at") else None,
            closed_at=document.get("closed_at"),
        )

    @classmethod
    def create(
        cls,
        *,
        user_id: str,
        portfolio_id: ObjectId,
        portfolio: str,
        number: int,
        symbol: str,
        bracket: Bracket,
        margin_used: Decimal,
        created_at: datetime,
        client_order_id: str | None = None,
        order_fingerprint: str | None = None,
    ) -> Trade:
        """Insert an active trade; DuplicateKeyError if the client_order_id is taken."""
        document: Document = {
            "user_id": user_id,
            "portfolio_id": portfolio_id,
            "portfolio": portfolio,
            "number": number,
            "symbol": symbol,
            "trade_type": bracket.trade_type.value,
            "quantity": bracket.quantity,
            "entry_price": bracket.entry_price,
            "entry_source": bracket.entry_source.value,
            "entry_timestamp": bracket.entry_timestamp,
            "entry_posting": asdict(bracket.entry_posting) if bracket.entry_posting else None,
            "stop_loss": bracket.stop_loss,
            "target_price": bracket.target_price,
            "trigger_below": bracket.trigger_below,
            "trigger_above": bracket.trigger_above,
            "status": TradeStatus.ACTIVE.value,
            "waiting": True,
            "margin_used": margin_used,
            "created_at": created_at,
        }
        if client_order_id is not None:
            document["client_order_id"] = client_order_id
            document["order_fingerprint"] = order_fingerprint
        collection("trades").insert_one(document)
        return cls.from_document(document)

    @classmethod
    def find_by_id(cls, user_id: str, trade_id: ObjectId) -> Trade | None:
        """Return the user's trade; None for an unknown one or another user's."""
        document = collection("trades").find_one({"_id": trade_id, "user_id": user_id})
        return cls.from_document(document) if document else None

    @classmethod
    def find_by_client_order_id(cls, user_id: str, client_order_id: str) -> Trade | None:
        query = {"user_id": user_id, "client_order_id": client_order_id}
        hint = use_index("user_id", "client_order_id")
        document = collection("trades").find_one(query, **hint)
        return cls.from_document(document) if document else None

    @classmethod
    def find_all(
        cls, user_id: str, portfolio_id: ObjectId, *, after_number: int = 0
    ) -> Iterator[Trade]:
        """Yield every trade of a portfolio with a number over `after_number`, one at a time."""
        query: Document = {"user_id": user_id, "portfolio_id": portfolio_id}
        hint = use_index("user_id", "portfolio_id", "number")
        newer = {"number": {"$gt": after_number}}
        for document in collection("trades").find({**query, **newer}, **hint):
            yield cls.from_document(document)

    def as_opened(self) -> Trade:
        """Return the trade as it was when it was opened."""
        return replace(self, status=TradeStatus.ACTIVE, exit=None, closed_at=None)

    @classmethod
    def find_by_user_id(
        cls,
        user_id: str,
        portfolio_id: ObjectId,
        *,
        status: TradeStatus | None = None,
        symbol: str | None = None,
        above: int = 0,
        below: int,
        limit: int,
    ) -> list[Trade]:
        """Return trades of the portfolio, numbered over `above` and under `below`, newest first."""
        query = {
            "user_id": user_id,
            "portfolio_id": portfolio_id,
            "status": status and status.value,
            "symbol": symbol,
        }
        documents = newest_first("trades", query, BY_NUMBER, above=above, below=below, limit=limit)
        return [cls.from_document(document) for document in documents]

    @classmethod
    def find_in_batches(
        cls,
        user_id: str,
        portfolio_id: ObjectId,
        first: int,
        last: int,
        *,
        status: TradeStatus | None = None,
        symbol: str | None = None,
    ) -> Iterator[list[Trade]]:
        """Yield trades of the portfolio with a number from `first` to `last`, oldest first."""
        query = {
            "user_id": user_id,
            "portfolio_id": portfolio_id,
            "status": status and status.value,
            "symbol": symbol,
        }
        for documents in numbered_windows("trades", query, BY_NUMBER, first, last):
            yield [cls.from_document(document) for document in documents]

    @classmethod
    def find_active_by_user_id(cls, user_id: str, portfolio_id: ObjectId) -> list[Trade]:
        """Return all active trades of the user's portfolio, oldest first."""
        status = TradeStatus.ACTIVE.value
        query = {"user_id": user_id, "portfolio_id": portfolio_id, "status": status}
        found = collection("trades").find(query, **use_index(*BY_NUMBER))
        trades = [cls.from_document(document) for document in found]
        return sorted(trades, key=lambda trade: trade.number)

    @classmethod
    def find_active(cls, user_id: str, trade_ids: Collection[ObjectId]) -> list[Trade]:
        """Return the active ones of the user's trades, oldest first."""
        owners = dict.fromkeys(trade_ids, user_id)
        query = {**by_owner(owners), "status": TradeStatus.ACTIVE.value}
        found = collection("trades").find(query, **use_index("_id"))
        trades = [cls.from_document(document) for document in found]
        return sorted(trades, key=lambda trade: trade.number)

    @classmethod
    def find_triggered(cls, symbol: str, lowest: Decimal, highest: Decimal) -> Iterator[Trade]:
        """Yield the open trades with a trigger that prices from `lowest` to `highest` reach."""
        return map(cls.from_document, INDEX.find_reached(symbol, lowest, highest))

    @classmethod
    def has_active(cls, symbol: str) -> bool:
        """Return whether any user has an open trade in the symbol."""
        return INDEX.any_waiting(symbol)

    @classmethod
    def update(cls, user_id: str, trade_id: ObjectId, changes: Document) -> bool:
        """Set fields of the user's trade if it is active; return whether it was."""
        result = collection("trades").update_one(
            {"_id": trade_id, "user_id": user_id, "status": TradeStatus.ACTIVE.value},
            {"$set": changes},
        )
        return result.modified_count == 1

    @classmethod
    def close_many(cls, exits: Sequence[TradeExit], now: datetime) -> int:
        """Close the trades still in the status that their transition leaves; return how many."""
        # SecantusDB: takes 0.5 ms for each update, however few documents it matches, so trades
        # whose exits differ in their P&L only share one. MongoDB would take one for each trade.
        equal: dict[Transition, list[TradeExit]] = defaultdict(list)
        for item in exits:
            exit = replace(item.exit, pnl=ZERO)
            equal[replace(item.transition, exit=exit)].append(item)
        updates = [
            _close_equal(transition, batch, now)
            for transition, group in equal.items()
            for batch in batched(group, IN_CLAUSE_SIZE)
        ]
        return collection("trades").bulk_write(updates, ordered=False).modified_count


@dataclass(frozen=True, slots=True)
class TradeExit:
    """A trade and the transition that closes it."""

    trade: Trade
    transition: Transition

    @property
    def user_id(self) -> str:
        return self.trade.user_id

    @property
    def exit(self) -> Exit:
        return self.transition.exit


def _close_equal(transition: Transition, exits: Sequence[TradeExit], now: datetime) -> UpdateMany:
    """Return one update of trades whose exits differ in their P&L only."""
    owners = {item.trade.id: item.trade.user_id for item in exits}
    pnls = {item.trade.id: item.exit.pnl for item in exits}
    closed = {name: {"$literal": value} for name, value in _closed(transition, now).items()}
    return UpdateMany(
        {**by_owner(owners), "status": transition.before.value},
        [{"$set": {**closed, "pnl": value_by_id(pnls)}}],
        **use_index("_id"),
    )


def _closed(transition: Transition, now: datetime) -> Document:
    exit = transition.exit
    return {
        "status": transition.after.value,
        "waiting": transition.after.is_open,
        "exit_reason": exit.reason.value,
        "exit_price": exit.price,
        # The evidence: the quote that closed the trade.
        "exit_source": exit.quote.source.value,
        "exit_timestamp": exit.quote.timestamp,
        "settled_from": exit.settled_from.value if exit.settled_from else None,
        "closed_at": now,
    }


def _exit(document: Document) -> Exit:
    return Exit(
        reason=ExitReason(document["exit_reason"]),
        quote=Quote(
            symbol=document["symbol"],
            price=document["exit_price"],
            source=Source(document["exit_source"]),
            timestamp=document["exit_timestamp"],
        ),
        pnl=document["pnl"],
        settled_from=SettledFrom(document["settled_from"]) if document["settled_from"] else None,
    )
