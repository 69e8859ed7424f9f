"""Requests about webhooks, and the shapes of their responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.test import TestResponse

from tests.fakes.endpoint import Endpoint
from tests.support.responses import (
    Check,
    flag,
    null_or,
    object_id,
    text,
    time,
    whole,
)
from tests.support.users import Trader

HOOKS = "/notifications/webhooks"
VIEW: Mapping[str, Check] = {
    "webhook_id": object_id,
    "url": text,
    "events": null_or(lambda value: isinstance(value, list)),
    "description": lambda value: isinstance(value, str),
    "enabled": flag,
    "created_at": time,
    "last_seq": whole,
    "failures": whole,
    "failing_since": null_or(time),
    "next_attempt_at": null_or(time),
    "disabled_at": null_or(time),
    "disabled_reason": null_or(text),
}
DELIVERY: Mapping[str, Check] = {
    "delivery_id": object_id,
    "origin": text,
    "event": text,
    "seq": null_or(whole),
    "status": text,
    "created_at": time,
    "attempt_count": whole,
    "attempts": lambda value: isinstance(value, list),
}
ATTEMPT: Mapping[str, Check] = {
    "at": time,
    "duration_ms": whole,
    "status_code": null_or(whole),
    "error": null_or(text),
}


def create(trader: Trader, endpoint: Endpoint, **fields: Any) -> dict[str, Any]:
    url = f"http://127.0.0.1:{endpoint.port}/hook"
    created = trader.post(HOOKS, {"url": url, **fields})
    assert created.status_code == 201, created.text
    body: dict[str, Any] = created.get_json()
    return body


def change(trader: Trader, hook: dict[str, Any], **changes: Any) -> TestResponse:
    path = f"{HOOKS}/{hook['webhook_id']}"
    return trader.client.patch(path, headers=trader.headers, json=changes)


def show(trader: Trader, hook: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = trader.get(f"{HOOKS}/{hook['webhook_id']}").get_json()
    return shown


def log(trader: Trader, hook: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    page: dict[str, Any] = trader.get(f"{HOOKS}/{hook['webhook_id']}/deliveries{query}").get_json()
    return list(page["deliveries"])


def notify(trader: Trader, count: int = 1) -> None:
    for _ in range(count):
        trader.post("/notifications", {"event": "reminder", "message": "Review the trades."})
