"""An auditor: reads the database directly and checks it by its own statement of the rules."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

from app.database.codec import TYPE_REGISTRY
from tests.support.load import Operation
from tests.support.recording import Recording
from tests.support.server import Server

Document = dict[str, Any]
COLLECTIONS = (
    *("inboxes", "portfolios", "movements", "trades"),
    *("notifications", "answers", "market"),
)
CENT = Decimal("0.01")
FUNDS = ("funds_deposited", "funds_withdrawn")
CLOSING = ("trade_exited", "trade_auto_closed")


def embedded_record(data_dir: Path) -> dict[str, int]:
    """Return the port and the process ids of the database in a data folder."""
    record: dict[str, int] = json.loads((data_dir / "database.json").read_text())
    return record


def embedded_uri(data_dir: Path) -> str:
    secret = (data_dir / "database_secret").read_text()
    where = f"127.0.0.1:{embedded_record(data_dir)['port']}"
    return f"mongodb://paper_trading:{secret}@{where}/?directConnection=true&authSource=admin"


def subject_of(data: Document) -> str:
    """Return the id of the trade or the movement that an event is about."""
    return str(data["trade_id"] if "trade_id" in data else data["movement_id"])


@dataclass
class Snapshot:
    """The whole database at one moment, read in one transaction."""

    inboxes: list[Document]
    portfolios: list[Document]
    movements: list[Document]
    trades: list[Document]
    notifications: list[Document]
    answers: list[Document]
    market: list[Document]

    @classmethod
    def take(cls, uri: str, database: str = "paper_trading") -> Snapshot:
        client: MongoClient[Document] = MongoClient(
            uri, tz_aware=True, type_registry=TYPE_REGISTRY, timeoutMS=20_000
        )
        concern = ReadConcern("snapshot")
        with (
            client,
            client.start_session() as session,
            session.start_transaction(read_concern=concern),
        ):
            found = {
                name: list(client[database][name].find({}, session=session)) for name in COLLECTIONS
            }
        return cls(**found)

    @property
    def replay(self) -> Document:
        """When the replay began, and up to which time it is settled."""
        return next(each for each in self.market if each["_id"] == "replay")

    def of_users(self, user_ids: Collection[str]) -> Snapshot:
        """Return the documents of these users."""
        return Snapshot(
            inboxes=_owned(self.inboxes, "_id", user_ids),
            portfolios=_owned(self.portfolios, "user_id", user_ids),
            movements=_owned(self.movements, "user_id", user_ids),
            trades=_owned(self.trades, "user_id", user_ids),
            notifications=_owned(self.notifications, "user_id", user_ids),
            answers=self.answers,
            market=self.market,
        )


@dataclass
class Auditor:
    """Checks a snapshot against every rule; `problems` describes the violations."""

    snapshot: Snapshot
    operations: Sequence[Operation] = ()
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trades = {str(trade["_id"]): trade for trade in self.snapshot.trades}
        self.movements = {str(each["_id"]): each for each in self.snapshot.movements}
        self.by_user: dict[str, list[Document]] = defaultdict(list)
        for trade in self.snapshot.trades:
            self.by_user[trade["user_id"]].append(trade)
        self.events: dict[str, list[Document]] = defaultdict(list)
        for event in sorted(self.snapshot.notifications, key=lambda each: each["seq"]):
            self.events[event["user_id"]].append(event)

    def run(self) -> list[str]:
        """Apply every rule; return the problems."""
        for trade in self.snapshot.trades:
            self._check_trade(trade)
        for portfolio in self.snapshot.portfolios:
            self._check_portfolio(portfolio, self.by_user[portfolio["user_id"]])
        for inbox in self.snapshot.inboxes:
            self._check_events(inbox, self.events[inbox["_id"]])
            self._check_events_of_trades(inbox["_id"])
        for operation in self.operations:
            if operation.succeeded:
                getattr(self, f"_check_{operation.kind}")(operation)
            elif operation.status == 409 and operation.kind == "exit":
                self._check_refused_exit(operation)
        self._check_no_trade_without_request()
        self._check_movements()
        return self.problems

    def _expect(self, actual: Any, expected: Any, what: str) -> None:
        if actual != expected:
            self.problems.append(f"{what}: {actual!r}, not {expected!r}")

    def _check_trade(self, trade: Document) -> None:
        name = f"trade {trade['_id']}"
        margin = trade["entry_price"] * trade["quantity"] * Decimal("0.2")
        self._expect(trade["margin_used"], margin.quantize(CENT, ROUND_HALF_UP), f"{name} margin")
        closing = ("exit_reason", "exit_price", "pnl", "closed_at")
        if trade["status"] == "ACTIVE":
            self._expect([trade.get(each) for each in closing], [None] * 4, f"{name} partly closed")
            return
        self._expect(trade["pnl"], pnl_of(trade, trade["exit_price"]), f"{name} pnl")
        reasons = {"CLOSED": "user", "STOP_LOSS_HIT": "stop_loss", "TARGET_HIT": "target"}
        self._expect(trade["exit_reason"], reasons.get(trade["status"]), f"{name} reason")
        if trade["status"] != "CLOSED" and not _reached(trade, trade["exit_price"]):
            self.problems.append(f"{name} closed at a price that reached no level: {trade}")

    def _check_portfolio(self, portfolio: Document, trades: list[Document]) -> None:
        active = [trade for trade in trades if trade["status"] == "ACTIVE"]
        closed = [trade for trade in trades if trade["status"] != "ACTIVE"]
        utilized = sum((each["margin_used"] for each in active), Decimal(0))
        total_pnl = sum((each["pnl"] for each in closed), Decimal(0))
        deposits, withdrawals = (
            abs(sum((each["amount"] for each in self._moved(portfolio, kind)), Decimal(0)))
            for kind in ("deposit", "withdrawal")
        )
        balance = portfolio["initial_margin"] + deposits - withdrawals + total_pnl
        exposure: dict[str, list[Any]] = {}
        for each in active:
            signed = each["quantity"] * (1 if each["trade_type"] == "BUY" else -1)
            sums = exposure.setdefault(each["symbol"].replace(".", ":"), [0, 0, Decimal(0)])
            sums[:] = [sums[0] + 1, sums[1] + signed, sums[2] + each["entry_price"] * signed]
        expected = {
            "utilized_margin": utilized,
            "total_pnl": total_pnl,
            "deposits": deposits,
            "withdrawals": withdrawals,
            "available_margin": balance - utilized,
            "trade_count": len(trades),
            "closed_count": len(closed),
            "winner_count": sum(each["pnl"] > 0 for each in closed),
        }
        for name, value in expected.items():
            self._expect(portfolio[name], value, f"{portfolio['user_id']} {name}")
        recorded = {
            symbol: [each["trades"], each["quantity"], each["cost"]]
            for symbol, each in portfolio["exposure"].items()
            if each["trades"] or each["quantity"] or each["cost"]
        }
        self._expect(recorded, exposure, f"{portfolio['user_id']} exposure")
        numbers = sorted(trade["number"] for trade in trades)
        self._expect(numbers, list(range(1, len(trades) + 1)), "the trades' numbers")

    def _moved(self, portfolio: Document, kind: str) -> list[Document]:
        return [
            each
            for each in self.snapshot.movements
            if each["portfolio_id"] == portfolio["_id"] and each["kind"] == kind
        ]

    def _check_events(self, inbox: Document, events: list[Document]) -> None:
        who = inbox["_id"]
        seqs = [event["seq"] for event in events]
        self._expect(seqs, list(range(1, len(seqs) + 1)), f"seqs of {who}")
        self._expect(inbox["event_seq"], len(events), f"event_seq of {who}")
        unread = sum(not event["is_read"] for event in events)
        self._expect(inbox["unread_count"], unread, f"unread_count of {who}")

    def _check_events_of_trades(self, user_id: str) -> None:
        opened: Counter[str] = Counter()
        left: Counter[str] = Counter()
        for event in self.events[user_id]:
            trade = self.trades.get(event["data"].get("trade_id", ""))
            if event["type"] in FUNDS:
                continue
            if trade is None:
                self.problems.append(f"an event without its trade: {event}")
            elif event["type"] == "trade_created":
                opened[str(trade["_id"])] += 1
                for name in ("entry_price", "margin_used", "quantity", "stop_loss"):
                    what = f"{name} in the event of {trade['_id']}"
                    self._expect(event["data"][name], trade[name], what)
            elif event["type"] in CLOSING:
                left[str(trade["_id"])] += 1
                sent = (event["data"]["reason"], event["data"]["exit_price"], event["data"]["pnl"])
                stored = (trade.get("exit_reason"), trade.get("exit_price"), trade.get("pnl"))
                self._expect(sent, stored, f"the exit event of {trade['_id']}")
        for trade in self.by_user[user_id]:
            name = str(trade["_id"])
            self._expect(opened[name], 1, f"trade_created events of {name}")
            closings = 0 if trade["status"] == "ACTIVE" else 1
            self._expect(left[name], closings, f"closing events of {name}")

    def _check_create(self, operation: Operation) -> None:
        answer = operation.answer
        trade = self.trades.get(answer["trade_id"])
        if trade is None:
            self.problems.append(f"an acknowledged trade is gone: {operation}")
            return
        for name in ("user_id", "symbol", "trade_type", "quantity"):
            self._expect(trade[name], answer[name], f"{name} of {trade['_id']}")
        for name in ("entry_price", "stop_loss", "target_price", "margin_used"):
            self._expect(_float(trade[name]), answer[name], f"{name} of {trade['_id']}")

    def _check_exit(self, operation: Operation) -> None:
        trade = self.trades[operation.trade_id or ""]
        stored = (trade["status"], _float(trade.get("exit_price")), _float(trade.get("pnl")))
        answered = ("CLOSED", operation.answer["exit_price"], operation.answer["pnl"])
        self._expect(stored, answered, f"an acknowledged exit of {trade['_id']}")

    def _check_refused_exit(self, operation: Operation) -> None:
        trade = self.trades[operation.trade_id or ""]
        stored = {"status": trade["status"], "pnl": _float(trade.get("pnl"))}
        self._expect(stored, operation.answer["details"], f"a refused exit of {trade['_id']}")

    def _check_exit_all(self, operation: Operation) -> None:
        position = self.operations.index(operation)
        for each in self.operations[:position]:
            if each.kind == "create" and each.user_id == operation.user_id and each.succeeded:
                trade = self.trades.get(each.answer["trade_id"], {"status": "gone"})
                if trade["status"] == "ACTIVE":
                    self.problems.append(f"{trade['_id']} outlived {operation}")
        if operation.key is None:
            return
        key = {"user_id": operation.user_id, "key": operation.key}
        result = next(answer["result"] for answer in self.snapshot.answers if answer["_id"] == key)
        # Not all that are closed now: one that could not exit may have been closed afterwards.
        exited = [
            trade
            for trade in map(self.trades.__getitem__, map(str, result.get("written", ())))
            if trade["status"] == "CLOSED"
        ]
        answered = (operation.answer["count"], operation.answer["total_pnl"])
        total = sum((each["pnl"] for each in exited), Decimal(0))
        self._expect((len(exited), float(total)), answered, f"the sums of {operation}")

    def _check_move(self, operation: Operation) -> None:
        movement = self.movements.get(operation.answer["movement_id"])
        if movement is None:
            self.problems.append(f"an acknowledged movement is gone: {operation}")
            return
        stored = (_float(movement["amount"]), _float(movement["balance_after"]))
        answered = (operation.answer["amount"], operation.answer["available_margin"])
        self._expect(stored, answered, f"an acknowledged movement {movement['_id']}")

    def _check_movements(self) -> None:
        """Every movement has its event, and each request made at most one."""
        events = Counter(
            event["data"]["movement_id"]
            for event in self.snapshot.notifications
            if event["type"] in FUNDS
        )
        moved = Counter(
            str(each["_id"]) for each in self.snapshot.movements if each["kind"] != "opening"
        )
        self._expect(events, moved, "the events of movements")
        moves = [operation for operation in self.operations if operation.kind == "move"]
        answered = Counter(move.answer["movement_id"] for move in moves if move.succeeded)
        self._expect([id for id, count in answered.items() if count > 1], [], "shared movements")
        left = len(moved) - len(answered)
        if moves and left > sum(move.is_open for move in moves):
            self.problems.append(f"{left} movements without a request that may have made them")

    def _check_no_trade_without_request(self) -> None:
        """Every trade comes from a request, and each repeatable request made at most one."""
        creates = [operation for operation in self.operations if operation.kind == "create"]
        if not creates:
            return
        created = Counter(create.answer["trade_id"] for create in creates if create.succeeded)
        shared = [trade_id for trade_id, count in created.items() if count > 1]
        self._expect(shared, [], "trades that two different requests returned")
        strays = Counter(
            trade["user_id"] for name, trade in self.trades.items() if name not in created
        )
        unanswered = Counter(create.user_id for create in creates if create.is_open)
        for user_id, count in strays.items():
            if count > unanswered[user_id]:
                self.problems.append(
                    f"{user_id} has {count} trades without a response, but only "
                    f"{unanswered[user_id]} requests without one"
                )


def rest_differences(server: Server, user_id: str, token: str) -> list[str]:
    """Return the problems in a user's events and trades as the API shows them."""
    problems = []
    events = _pages(server, token, "/notifications", "notifications")
    seqs = [event["seq"] for event in events]
    if seqs != list(range(len(seqs), 0, -1)):
        problems.append(f"the events of {user_id} are {seqs}")
    trades = _pages(server, token, f"/trades/{user_id}", "trades")
    opened = Counter(
        event["data"]["trade_id"] for event in events if event["type"] == "trade_created"
    )
    closed = Counter(event["data"]["trade_id"] for event in events if event["type"] in CLOSING)
    for trade in trades:
        name = trade["trade_id"]
        # A trade that closed after the events were read has no closing event here yet.
        maximum = 0 if trade["status"] == "ACTIVE" else 1
        if opened[name] != 1 or closed[name] > maximum:
            problems.append(f"{name}: {opened[name]} creation and {closed[name]} closing events")
    if len(trades) != len(opened):
        problems.append(f"{user_id} has {len(trades)} trades and creation events of {len(opened)}")
    return problems


def _pages(server: Server, token: str, path: str, name: str) -> list[dict[str, Any]]:
    """Read a list to its end, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = server.request("GET", f"{path}?limit=200{cursor}", token)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page[name]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def missed_triggers(snapshot: Snapshot, recording: Recording) -> list[str]:
    """Return the active trades that the settled ticks of the recording should have closed."""
    settled_to: datetime | None = snapshot.replay.get("settled_to")
    if settled_to is None:
        return []
    missed = []
    for trade in snapshot.trades:
        if trade["status"] != "ACTIVE":
            continue
        ticks = recording.between(trade["symbol"], trade["entry_timestamp"], settled_to)
        hit = next(((at, price) for at, price in ticks if _reached(trade, price)), None)
        if hit is not None:
            missed.append(f"trade {trade['_id']} should have closed at {hit}: {trade}")
    return missed


def _owned(documents: list[Document], owner: str, user_ids: Collection[str]) -> list[Document]:
    return [document for document in documents if document[owner] in user_ids]


def pnl_of(trade: Document, price: Decimal) -> Decimal:
    """Return the P&L of a trade at a price, in rupees."""
    difference = price - trade["entry_price"]
    signed: Decimal = difference if trade["trade_type"] == "BUY" else -difference
    return signed * int(trade["quantity"])


def _reached(trade: Document, price: Decimal) -> bool:
    stop, target = trade["stop_loss"], trade["target_price"]
    if trade["trade_type"] == "BUY":
        return (stop is not None and price <= stop) or (target is not None and price >= target)
    return (stop is not None and price >= stop) or (target is not None and price <= target)


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
