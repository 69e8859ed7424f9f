"""Corporate actions in the database: loaded once, and applied once to each trade and alert.

An action has no line of its own for each trade: that is in the trade, and is written in the
transaction that adjusts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal

from pymongo.errors import DuplicateKeyError

from app.database import Document, collection
from app.database.hints import use_index
from app.domain.corporate_actions import ActionKind, CorporateAction, Ratio
from app.models.alert import Alert
from app.models.trade import Trade
from app.models.trigger_index import CURSOR_BATCH_SIZE

# A document that counts how often actions were loaded: a change is found by one read.
VERSION = "version"
# The source of the actions that the simulated market makes of its own.
SIMULATED = "simulated"
# That of the actions which only the recording of a replay has.
RECORDED = "recording"


@dataclass(frozen=True, slots=True)
class StoredAction:
    """An action and its state.

    `source` is where it is known from: file, yahoo, simulated or recording. `is_recorded` is
    whether the recording of the last replay has it.

    `close` is the last price (rupees) before its ex-date, fixed by the first that applies it.
    `applied_at` is when all trades and alerts of its symbol were adjusted.
    """

    action: CorporateAction
    source: str
    close: Decimal | None = None
    applied_at: datetime | None = None
    is_recorded: bool = False

    @classmethod
    def from_document(cls, document: Document) -> StoredAction:
        ratio = document["ratio"]
        action = CorporateAction(
            symbol=document["symbol"],
            ex_date=date.fromisoformat(document["ex_date"]),
            kind=ActionKind(document["kind"]),
            pre_open=document["pre_open"],
            opens_at=document["opens_at"],
            ratio=Ratio(**ratio) if ratio else None,
            amount=document["amount"],
        )
        close, applied_at = document.get("close"), document.get("applied_at")
        is_recorded = document.get("is_recorded", False)
        return cls(action, document["source"], close, applied_at, is_recorded)

    @classmethod
    def find_version(cls) -> int:
        """Return how often actions were loaded."""
        document = collection("corporate_actions").find_one({"_id": VERSION}) or {}
        return int(document.get("loads", 0))

    @classmethod
    def find_all(cls, symbol: str | None = None) -> list[StoredAction]:
        """Return the known actions, of one symbol if given, the earliest first."""
        query: Document = {"symbol": symbol} if symbol else {"symbol": {"$exists": True}}
        found = map(cls.from_document, collection("corporate_actions").find(query))
        return sorted(found, key=lambda each: (each.action.ex_date, each.action.id))

    @classmethod
    def add(cls, action: CorporateAction, source: str, now: datetime) -> bool:
        """Store an action, and return False if it is known."""
        document = {
            "_id": action.id,
            "symbol": action.symbol,
            "ex_date": action.ex_date.isoformat(),
            "kind": action.kind.value,
            "ratio": asdict(action.ratio) if action.ratio else None,
            "amount": action.amount,
            "pre_open": action.pre_open,
            "opens_at": action.opens_at,
            "source": source,
            "loaded_at": now,
        }
        try:
            collection("corporate_actions").insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    @classmethod
    def count_load(cls) -> None:
        """Have every process read the actions again; call it after they are stored."""
        loaded = {"$inc": {"loads": 1}}
        collection("corporate_actions").update_one({"_id": VERSION}, loaded, upsert=True)

    @classmethod
    def withdraw(
        cls, action: CorporateAction, until: datetime, *, is_applied: bool = False
    ) -> bool:
        """Remove an action that opens after `until`; return whether it did.

        Unless `is_applied`, only one that has adjusted nothing.
        """
        query: Document = {"_id": action.id, "opens_at": {"$gt": until}}
        if not is_applied:
            query["close"] = {"$exists": False}
        return collection("corporate_actions").delete_one(query).deleted_count == 1

    @classmethod
    def remove_simulated(cls, now: datetime) -> int:
        """Remove what the simulated market has announced from `now` on; return the number."""
        announced = {"source": SIMULATED, "opens_at": {"$gt": now}}
        return collection("corporate_actions").delete_many(announced).deleted_count

    @classmethod
    def fix_close(cls, action: CorporateAction, close: Decimal | None) -> Decimal | None:
        """Store the last price before an action; return the one that was stored first."""
        unknown = {"_id": action.id, "close": {"$exists": False}}
        actions = collection("corporate_actions")
        actions.update_one(unknown, {"$set": {"close": close}})
        document = actions.find_one({"_id": action.id}) or {}
        return document.get("close")

    @classmethod
    def mark_applied(cls, action: CorporateAction, now: datetime) -> None:
        """Store that everything is adjusted, unless it was before."""
        unapplied = {"_id": action.id, "applied_at": {"$exists": False}}
        collection("corporate_actions").update_one(unapplied, {"$set": {"applied_at": now}})

    @classmethod
    def begin_replay(cls, recorded: Iterable[CorporateAction], now: datetime) -> None:
        """Store the actions of a recording, and have every action applied at its ex-date again.

        What an action has adjusted is not adjusted again.
        """
        actions = collection("corporate_actions")
        actions.delete_many({"source": RECORDED})
        forgotten = {"$unset": {"close": "", "applied_at": "", "is_recorded": ""}}
        actions.update_many({"symbol": {"$exists": True}}, forgotten)
        for action in recorded:
            cls.add(action, RECORDED, now)
            actions.update_one({"_id": action.id}, {"$set": {"is_recorded": True}})
        cls.count_load()


def find_unadjusted(action: CorporateAction) -> Iterator[Trade]:
    """Yield the open trades of its symbol that an action has not adjusted, read in batches."""
    query = {"waiting": True, "symbol": action.symbol, "adjustments.action": {"$ne": action.id}}
    hint = use_index("waiting", "symbol", "trigger_below")
    found = collection("trades").find(query, batch_size=CURSOR_BATCH_SIZE, **hint)
    return map(Trade.from_document, found)


def find_unadjusted_alerts(action: CorporateAction) -> Iterator[Alert]:
    """Yield the active alerts set before an action that has not adjusted them."""
    query = {
        "waiting": True,
        "symbol": action.symbol,
        "timestamp": {"$lt": action.opens_at},
        "adjusted_by": {"$ne": action.id},
    }
    hint = use_index("waiting", "symbol", "below")
    found = collection("alerts").find(query, batch_size=CURSOR_BATCH_SIZE, **hint)
    return map(Alert.from_document, found)


def find_settled_early(action: CorporateAction) -> list[Trade]:
    """Return the trades that prices after an action filled or closed before it was known.

    Reads every trade of the symbol: it is for an operator.
    """
    since = {"$gte": action.opens_at}
    query: Document = {
        "symbol": action.symbol,
        "adjustments.action": {"$ne": action.id},
        "$or": [{"exit_timestamp": since}, {"entry_timestamp": since}],
    }
    trades = map(Trade.from_document, collection("trades").find(query))
    return [trade for trade in trades if _is_settled_early(trade, action)]


def _is_settled_early(trade: Trade, action: CorporateAction) -> bool:
    if trade.bracket is None:
        return False
    if trade.bracket.entry_timestamp >= action.opens_at:
        return trade.order is not None and trade.order.placed.timestamp < action.opens_at
    return trade.exit is not None and trade.exit.quote.timestamp >= action.opens_at
