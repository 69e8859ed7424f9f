"""Requests sent repeatedly, concurrently, or after a crash."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

from bson import ObjectId
from werkzeug.test import TestResponse

from app.domain.money import ZERO
from app.models import IdempotencyKey, IdempotencyRecord
from tests.support.database_state import documents
from tests.support.own_client import collection
from tests.support.users import Trader

AT_ONCE = 20
ORDER = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 2}


def send(trader: Trader, path: str, key: str | None = None, body: Any = None) -> TestResponse:
    """Send a request with a new test client; any thread may call this."""
    headers = trader.headers | ({"Idempotency-Key": key} if key is not None else {})
    client = trader.client.application.test_client()
    return client.post(path, headers=headers, json={} if body is None else body)


def create(trader: Trader, key: str | None = None, **order: Any) -> TestResponse:
    return send(trader, "/trades/create", key, {**ORDER, **order})


def exit_path(trade: dict[str, Any]) -> str:
    return f"/trades/exit/{trade['trade_id']}"


def exit_all_path(trader: Trader) -> str:
    return f"/trades/exit-all/{trader.client_id}"


def send_concurrently(
    call: Callable[[], TestResponse], times: int = AT_ONCE
) -> list[tuple[int, Any]]:
    """Make a call in `times` threads, all released together; return each status and body."""
    barrier = Barrier(times)

    def wait_and_call() -> tuple[int, Any]:
        barrier.wait(60)
        answer = call()
        return answer.status_code, answer.get_json()

    with ThreadPoolExecutor(times) as pool:
        return [each.result(60) for each in [pool.submit(wait_and_call) for _ in range(times)]]


def assert_same(retry: TestResponse, first: TestResponse) -> None:
    assert (retry.status_code, retry.get_json()) == (first.status_code, first.get_json())


def assert_refused(answer: TestResponse, status: int, code: str) -> None:
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)


def interrupt(trader: Trader, key: str, trades: list[dict[str, Any]], *, exited: int) -> None:
    """Restore the state after a crash in exit-all: some trades closed, the record unfinished."""
    found = documents("answers")
    (document,) = [each for each in found if each["_id"]["key"] == key]
    request = IdempotencyKey(trader.client_id, key, document["fingerprint"])
    for trade in trades[exited:]:
        _reopen(trader, trade)
    collection("answers").delete_one({"_id": request.document_id})
    ids = [ObjectId(trade["trade_id"]) for trade in trades]
    unfinished = {"trade_ids": ids, "count": exited, "total_pnl": ZERO, "done": False}
    IdempotencyRecord.save(request, unfinished, datetime.now(UTC))


def _reopen(trader: Trader, trade: dict[str, Any]) -> None:
    """Undo an exit without profit or loss, in every document."""
    quantity, cost = trade["quantity"], trade["quantity"] * 25_000
    (stored,) = documents("trades", _id=ObjectId(trade["trade_id"]))
    margin = stored["margin_used"]
    collection("trades").update_one(
        {"_id": ObjectId(trade["trade_id"])},
        {
            "$set": {"status": "ACTIVE", "waiting": True},
            "$unset": dict.fromkeys(
                ("exit_reason", "exit_price", "pnl", "exit_source", "exit_timestamp", "closed_at"),
                "",
            ),
        },
    )
    exposure = {"trades": 1, "quantity": quantity, "cost": cost}
    collection("portfolios").update_one(
        {"user_id": trader.client_id},
        {
            "$inc": {
                "available_margin": -margin,
                "utilized_margin": margin,
                "closed_count": -1,
                **{f"exposure.^NSEI.{name}": each for name, each in exposure.items()},
            }
        },
    )
    last = max(documents("notifications", user_id=trader.client_id), key=lambda each: each["seq"])
    collection("notifications").delete_one({"_id": last["_id"]})
    collection("inboxes").update_one({"_id": trader.client_id}, {"$inc": {"event_seq": -1}})
