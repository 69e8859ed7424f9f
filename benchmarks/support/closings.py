"""What the application wrote when it closed a trade, as the pattern of the bare side's writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from app.database.batches import BATCH_SIZE
from benchmarks.support.bare import Closing
from benchmarks.support.world import World

# What closing a trade sets in it.
CLOSED = (
    "status",
    "waiting",
    "exit_reason",
    "exit_price",
    "pnl",
    "exit_source",
    "exit_timestamp",
    "settled_from",
    "closed_at",
)

Document = dict[str, Any]


class ClosingPattern:
    """What the application wrote when it settled: the bare side writes the same, for others."""

    def __init__(self, here: World) -> None:
        self._db = here.db
        self._trade = self._db.trades.find_one({"status": "STOP_LOSS_HIT"}) or {}
        self._notification = self._db.notifications.find_one({}) or {}
        user = self._db.portfolios.find_one({"user_id": self._trade["user_id"]}) or {}
        self._last_updated = user["last_updated"]

    def closings(self, chosen: Mapping[str, Any] | None = None) -> list[Closing]:
        """Return the writes that close every active trade, or the chosen ones, ready to be sent."""
        query = {"status": "ACTIVE", **(chosen or {})}
        active = list(self._db.trades.find(query, {"user_id": 1}))
        found = self._db.inboxes.find({}, {"event_seq": 1})
        seqs = {inbox["_id"]: inbox["event_seq"] for inbox in found}
        chunks = [active[first : first + BATCH_SIZE] for first in range(0, len(active), BATCH_SIZE)]
        return [self._closing(each, seqs) for each in chunks]

    def _closing(self, trades: Sequence[Document], seqs: dict[str, int]) -> Closing:
        counts = Counter(each["user_id"] for each in trades)
        changes = {"$set": {name: self._trade[name] for name in CLOSED}}
        return Closing(
            trades=[
                UpdateOne({"_id": each["_id"], "status": "ACTIVE"}, changes) for each in trades
            ],
            portfolios=[
                UpdateOne({"user_id": user_id, "name": "default"}, self._settled(count))
                for user_id, count in counts.items()
            ],
            inboxes=[
                UpdateOne({"_id": user_id}, {"$inc": {"event_seq": n, "unread_count": n}})
                for user_id, n in counts.items()
            ],
            notifications=[self._event(each, seqs) for each in trades],
        )

    def _settled(self, count: int) -> Document:
        margin, pnl = count * self._trade["margin_used"], count * self._trade["pnl"]
        return {
            "$inc": {
                "available_margin": margin + pnl,
                "utilized_margin": -margin,
                "total_pnl": pnl,
                "closed_count": count,
                "winner_count": 0,
                "exposure.^NSEI.trades": -count,
                "exposure.^NSEI.quantity": -count,
                "exposure.^NSEI.cost": -count * self._trade["entry_price"],
            },
            "$set": {"last_updated": self._last_updated},
        }

    def _event(self, trade: Document, seqs: dict[str, int]) -> Document:
        user_id = trade["user_id"]
        seqs[user_id] += 1
        return {
            **self._notification,
            "_id": ObjectId(),
            "user_id": user_id,
            "seq": seqs[user_id],
            "data": {**self._notification["data"], "trade_id": str(trade["_id"])},
        }
