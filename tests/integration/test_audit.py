"""The audit of the fault tests: it accepts what the server does, and detects faults of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from pymongo import UpdateOne

from app.domain.trade import Ended
from app.events import record_events
from app.models import EventDraft, Notification, PortfolioDelta, Trade, TradeChange
from app.monitor import Monitor, settlement
from app.trades import execution, modification
from app.trades.execution import add_change, apply_transitions
from app.trades.service import get_trade
from tests.support.audit import Auditor, Snapshot
from tests.support.audit.snapshot import COLLECTIONS
from tests.support.database_state import documents
from tests.support.market import ScriptedFeed
from tests.support.operation import Operation
from tests.support.users import Trader

Sabotage = Callable[[pytest.MonkeyPatch], None]
write_guarded = TradeChange.write


class Ledger:
    """A user who sends requests of every kind, and records them."""

    def __init__(self, trader: Trader) -> None:
        self._trader = trader
        self._keys = count(1)
        self.operations: list[Operation] = []

    def send(self, kind: str, path: str, trade_id: str | None = None, **body: Any) -> str:
        """Send a request, which must succeed; return the id of its trade."""
        method, key = "PATCH" if kind == "modify" else "POST", f"key-{next(self._keys)}"
        headers = {**self._trader.headers, "Idempotency-Key": key}
        sent = self._trader.client.open(path, method=method, json=body, headers=headers)
        answer = sent.get_json()
        assert sent.status_code in (200, 201), answer
        user_id = self._trader.client_id
        self.operations.append(
            Operation(kind, user_id, path, body, key, sent.status_code, answer, 1, trade_id, method)
        )
        return str(answer.get("trade_id"))

    def create(self, **order: Any) -> str:
        body = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 2, **order}
        return self.send("create", "/trades/create", **body)

    def modify(self, trade_id: str, **terms: Any) -> None:
        path = f"/trades/{self._trader.client_id}/{trade_id}"
        self.send("modify", path, trade_id, **terms)


def trade_in_every_way(trader: Trader, feed: ScriptedFeed, monitor: Monitor) -> list[Operation]:
    """Send requests of every kind, and have prices fill and close what they leave."""
    ledger, user_id = Ledger(trader), trader.client_id
    order = {"symbol": "^NSEI", "trade_type": "SELL", "quantity": 1, "order_type": "LIMIT"}
    held = ledger.create(stop_loss=24_000)
    ledger.create(trailing_offset=150)
    waiting, far = (
        ledger.create(order_type="LIMIT", limit_price=each) for each in (24_900, 20_000)
    )
    ledger.create(order_type="LIMIT", limit_price=20_000, time_in_force="IOC")
    ledger.create(order_type="STOP_LIMIT", stop_price=25_100, limit_price=25_050)
    ledger.send(
        "pair", "/trades/oco", orders=[{**order, "limit_price": each} for each in (25_100, 26_000)]
    )
    for stop_loss in (24_100, 24_200):
        ledger.modify(held, stop_loss=stop_loss)
    ledger.modify(waiting, quantity=3)
    ledger.send("cancel", f"/trades/cancel/{far}", far)
    feed.tick("^NSEI", 25_100)
    monitor.run_once()
    ledger.send("exit", f"/trades/exit/{held}", held, quantity=1)
    ledger.send("move", f"/portfolio/{user_id}/deposit", amount=10)
    feed.tick("^NSEI", 24_890)
    monitor.run_once()
    ledger.send("exit_all", f"/trades/exit-all/{user_id}", percent=50)
    ledger.send("reset", f"/portfolio/{user_id}/reset")
    ledger.create()
    return ledger.operations


def find_problems(operations: Sequence[Operation]) -> list[str]:
    snapshot = Snapshot(**{name: documents(name) for name in COLLECTIONS})
    return Auditor(snapshot, operations).run()


def _write_without_guard(item: TradeChange, now: datetime) -> UpdateOne:
    update = write_guarded(item, now)
    return UpdateOne({"_id": item.trade.id, "user_id": item.user_id}, update._doc)


def modify_what_was_read_long_ago(patch: pytest.MonkeyPatch) -> None:
    read: dict[str, Trade] = {}

    def get_old(user_id: str, trade_id: str) -> Trade:
        return read.setdefault(trade_id, get_trade(user_id, trade_id))

    patch.setattr(modification, "get_trade", get_old)
    patch.setattr(TradeChange, "write", _write_without_guard)


def fill_twice(patch: pytest.MonkeyPatch) -> None:
    def apply_twice(changes: Sequence[TradeChange], *rest: Any) -> Any:
        fills = [item for item in changes if item.exit is None]
        list(apply_transitions(fills, *rest))
        return apply_transitions(changes, *rest)

    patch.setattr(settlement, "apply_transitions", apply_twice)
    patch.setattr(TradeChange, "write", _write_without_guard)


def release_twice_at_cancel(patch: pytest.MonkeyPatch) -> None:
    def add_twice(delta: PortfolioDelta, item: TradeChange) -> None:
        add_change(delta, item)
        if isinstance(item.transition.change, Ended):
            add_change(delta, item)

    patch.setattr(execution, "add_change", add_twice)


def forget_the_result_of_a_part(patch: pytest.MonkeyPatch) -> None:
    def add_without_result(delta: PortfolioDelta, item: TradeChange) -> None:
        pnl = delta.pnl
        add_change(delta, item)
        if item.exit and not item.is_last_exit:
            delta.pnl = pnl

    patch.setattr(execution, "add_change", add_without_result)


def lose_an_event(patch: pytest.MonkeyPatch) -> None:
    def write_others(drafts: Sequence[EventDraft], time: datetime) -> list[Notification]:
        kept = [each for each in drafts if each.type != "trade_partially_exited"]
        return record_events(kept, time) if kept else []

    patch.setattr(execution, "record_events", write_others)


def leave_the_other_order_of_a_pair(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(execution, "cancellation", lambda *_: None)


def test_it_accepts_what_the_server_does(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    operations = trade_in_every_way(alice, feed, monitor)

    assert find_problems(operations) == []


@pytest.mark.parametrize(
    ("sabotage", "problem"),
    [
        (modify_what_was_read_long_ago, "version of a modification: 1, not 2"),
        (fill_twice, "trade_filled while ACTIVE"),
        (release_twice_at_cancel, "season 1 balance"),
        (forget_the_result_of_a_part, "season 1 total_pnl"),
        (lose_an_event, "an acknowledged exit is gone"),
        (leave_the_other_order_of_a_pair, "a pair of which each may be filled"),
    ],
)
def test_it_detects_a_fault_of_the_server(
    alice: Trader,
    feed: ScriptedFeed,
    monitor: Monitor,
    monkeypatch: pytest.MonkeyPatch,
    sabotage: Sabotage,
    problem: str,
) -> None:
    sabotage(monkeypatch)
    operations = trade_in_every_way(alice, feed, monitor)

    assert any(problem in each for each in find_problems(operations)), find_problems(operations)


def test_it_misses_the_request_of_what_was_done(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    operations = trade_in_every_way(alice, feed, monitor)
    for index, operation in enumerate(operations):
        before, after = operations[:index], operations[index + 1 :]
        unanswered = replace(operation, status=None, answer={})

        assert find_problems([*before, unanswered, *after]) == []
        assert find_problems([*before, *after]) != []


def test_it_misses_what_was_acknowledged(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    operations = trade_in_every_way(alice, feed, monitor)
    for operation in operations:
        if operation.kind == "exit":
            operation.answer = {**operation.answer, "pnl": float(Decimal("0.01"))}

    assert any("an acknowledged exit is gone" in each for each in find_problems(operations))
