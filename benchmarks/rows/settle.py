"""Settling what one tick triggers, against the bare bulk writes of the same documents."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from app.database.batches import BATCH_SIZE
from benchmarks.measure import Goal, Result, ratio_of
from benchmarks.support.bare import Closing, close_trades
from benchmarks.support.books import PRICE, same_levels, seed_trades, seed_users
from benchmarks.support.world import World, world
from tests.support.execution import close_triggered

USERS = 100
TRADES = 1_000
STOP = PRICE - 100
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


def measure() -> list[Result]:
    """Measure trades settled a second, events included, as a share of the bare writes."""
    with world() as here:
        users = seed_users(here, USERS)
        _add_trades(here, users)
        _settle(here)
        pattern = _Pattern(here)

        def ours() -> float:
            _add_trades(here, users)
            return TRADES / _settle(here)

        def bare() -> float:
            _add_trades(here, users)
            closings = pattern.closings()
            began = time.perf_counter()
            close_trades(here.db, closings)
            return TRADES / (time.perf_counter() - began)

        return [
            ratio_of(
                f"settling {TRADES:,} trades of {USERS} users at one tick",
                f"bare bulk writes, {BATCH_SIZE} trades a transaction",
                Goal(at_least=0.5),
                ours=ours,
                peer=bare,
                unit="trades/s",
                # Each adds 2,000 trades first, which takes longer than what it measures.
                rounds=3,
            )
        ]


def _add_trades(here: World, users: Sequence[str]) -> None:
    """Add the trades that the tick is to trigger; there are no other active ones."""
    seed_trades(here, users, TRADES // USERS, levels=same_levels(STOP, PRICE + 100))


def _settle(here: World) -> float:
    """Settle them, as the monitor does with a tick; return the seconds it took."""
    tick = here.feed.set("^NSEI", STOP)
    with here.app.app_context():
        began = time.perf_counter()
        closed = close_triggered([tick])
        seconds = time.perf_counter() - began
    if closed != TRADES:
        raise RuntimeError(f"{closed} trades were settled, not {TRADES}")
    return seconds


class _Pattern:
    """What the application wrote when it settled: the bare side writes the same, for others."""

    def __init__(self, here: World) -> None:
        self._db = here.db
        self._trade = self._db.trades.find_one({"status": "STOP_LOSS_HIT"}) or {}
        self._notification = self._db.notifications.find_one({}) or {}
        user = self._db.portfolios.find_one({"user_id": self._trade["user_id"]}) or {}
        self._last_updated = user["last_updated"]

    def closings(self) -> list[Closing]:
        """Return the writes that close every active trade, ready to be sent."""
        active = list(self._db.trades.find({"status": "ACTIVE"}, {"user_id": 1}))
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
