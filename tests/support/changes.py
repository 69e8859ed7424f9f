"""Changes of trades by their user: modifications and cancellations."""

from __future__ import annotations

from collections import Counter
from typing import Any

from werkzeug.test import TestResponse

from app.monitor import Monitor
from tests.support.database_state import documents
from tests.support.market import ScriptedFeed
from tests.support.users import Trader

AT_ONCE = 20


def show(trader: Trader, trade_id: str) -> dict[str, Any]:
    trade: dict[str, Any] = trader.get(f"/trades/{trader.client_id}/{trade_id}").get_json()
    return trade


def modify(trader: Trader, trade: dict[str, Any], key: str | None = None, **terms: Any) -> Any:
    """Send a modification with a client of its own; any thread may call this."""
    headers = trader.headers | ({"Idempotency-Key": key} if key else {})
    client = trader.client.application.test_client()
    path = f"/trades/{trader.client_id}/{trade['trade_id']}"
    return client.patch(path, headers=headers, json=terms)


def cancel(trader: Trader, trade: dict[str, Any], key: str | None = None) -> TestResponse:
    headers = trader.headers | ({"Idempotency-Key": key} if key else {})
    client = trader.client.application.test_client()
    return client.post(f"/trades/cancel/{trade['trade_id']}", headers=headers)


def events(trader: Trader, kind: str) -> list[dict[str, Any]]:
    found = documents("notifications", user_id=trader.client_id, type=kind)
    return [each["data"] for each in found]


def move(feed: ScriptedFeed, monitor: Monitor, price: int | str) -> None:
    feed.tick("^NSEI", price)
    monitor.run_once()


def statuses(answers: list[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)
