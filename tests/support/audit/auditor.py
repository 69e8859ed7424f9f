"""The auditor: it applies every rule to a snapshot of the database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.audit.books import book_problems, inbox_problems
from tests.support.audit.lives import Life, pair_problems
from tests.support.audit.requests import Requests
from tests.support.audit.snapshot import Document, Snapshot
from tests.support.operation import Operation


@dataclass
class Auditor:
    """Checks a snapshot, and that it holds what the operations were answered."""

    snapshot: Snapshot
    operations: Sequence[Operation] = ()

    def run(self) -> list[str]:
        """Apply every rule; return the problems."""
        snapshot = self.snapshot
        by_user, by_trade = self._sorted_events()
        lives = {
            str(trade["_id"]): Life(trade, by_trade.get(str(trade["_id"]), ()))
            for trade in snapshot.trades
        }
        problems = [
            *(problem for life in lives.values() for problem in life.problems),
            *(f"an event without its trade: {each}" for each in by_trade.keys() - lives.keys()),
            *pair_problems(lives),
            *self._money_problems(),
        ]
        for portfolio in snapshot.portfolios:
            trades, movements = (
                [each for each in documents if each["portfolio_id"] == portfolio["_id"]]
                for documents in (snapshot.trades, snapshot.movements)
            )
            problems += book_problems(portfolio, trades, movements)
        for inbox in snapshot.inboxes:
            problems += inbox_problems(inbox, by_user.get(inbox["_id"], ()))
        results = {
            (answer["_id"]["user_id"], answer["_id"]["key"]): answer["result"]
            for answer in snapshot.answers
        }
        events = [event for own in by_user.values() for event in own]
        return problems + Requests(self.operations, lives, events, results).run()

    def _sorted_events(self) -> tuple[dict[str, list[Document]], dict[str, list[Document]]]:
        """Return the events in order, by user and by trade."""
        by_user: dict[str, list[Document]] = defaultdict(list)
        by_trade: dict[str, list[Document]] = defaultdict(list)
        for event in sorted(self.snapshot.notifications, key=lambda each: each["seq"]):
            by_user[event["user_id"]].append(event)
            if "trade_id" in event["data"]:
                by_trade[event["data"]["trade_id"]].append(event)
        return by_user, by_trade

    def _money_problems(self) -> list[str]:
        """Return the movements without exactly one event of their own."""
        movements = Counter(
            (each["user_id"], str(each["_id"]) if each["kind"] != "reset" else each["season"])
            for each in self.snapshot.movements
            if each["kind"] != "opening"
        )
        events = Counter(
            (each["user_id"], each["data"].get("movement_id") or each["data"]["season"])
            for each in self.snapshot.notifications
            if each["type"] in ("funds_deposited", "funds_withdrawn", "portfolio_reset")
        )
        return [] if events == movements else [f"events of movements: {events}, not {movements}"]
