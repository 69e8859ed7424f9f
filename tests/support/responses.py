"""Checks of responses: exact fields, JSON types, and the common body of errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.test import TestResponse

ISO_8601_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
OBJECT_ID = re.compile(r"[0-9a-f]{24}")

Check = Callable[[Any], bool]


def text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def money(value: Any) -> bool:
    """A JSON number of rupees: never a string, at most two decimals."""
    return isinstance(value, float) and round(value, 2) == value


def seconds(value: Any) -> bool:
    """A JSON number of seconds: never negative, at most three decimals."""
    return isinstance(value, float) and value >= 0 and round(value, 3) == value


def time(value: Any) -> bool:
    return isinstance(value, str) and ISO_8601_UTC.fullmatch(value) is not None


def object_id(value: Any) -> bool:
    return isinstance(value, str) and OBJECT_ID.fullmatch(value) is not None


def null(value: Any) -> bool:
    return value is None


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def null_or(check: Check) -> Check:
    return lambda value: value is None or check(value)


PORTFOLIO: Mapping[str, Check] = {
    "portfolio_id": object_id,
    "user_id": text,
    "name": text,
    "available_margin": money,
    "utilized_margin": money,
    "total_pnl": money,
    "initial_margin": money,
    "deposits": money,
    "withdrawals": money,
    "season": whole,
    "season_started_at": time,
    "seasons": lambda value: isinstance(value, list),
    "fill_profile": text,
    "last_updated": time,
}
TRADE: Mapping[str, Check] = {
    "trade_id": object_id,
    "user_id": text,
    "portfolio": text,
    "symbol": text,
    "trade_type": text,
    "quantity": whole,
    "entry_price": null_or(money),
    "stop_loss": null_or(money),
    "target_price": null_or(money),
    "status": text,
    "created_at": time,
    "margin_used": money,
    "fill_profile": text,
    "exit_price": null_or(money),
    "pnl": null_or(money),
    "closed_at": null_or(time),
    "exit_reason": null_or(text),
    "client_order_id": null_or(text),
    "settled_from": null_or(text),
    "last_price": null_or(money),
    "price_time": null_or(time),
    "stale": null_or(flag),
    "unrealized_pnl": null_or(money),
    "order_type": text,
    "limit_price": null_or(money),
    "stop_price": null_or(money),
    "time_in_force": null_or(text),
    "expires_at": null_or(time),
    "queued_for": null_or(text),
    "triggered_at": null_or(time),
    "filled_at": null_or(time),
    "oco_id": null_or(object_id),
    "rest_trade_id": null_or(object_id),
    "split_from": null_or(object_id),
    "open_quantity": whole,
    "ordered_quantity": whole,
    "exit_queued": null_or(lambda value: value.keys() == {"quantity", "queued_for"}),
    "end_reason": null_or(text),
    "version": whole,
    "trailing_offset": null_or(money),
    "trailing_pct": null_or(money),
    "trailing_step": null_or(money),
    "best_price": null_or(lambda value: value.keys() == {"price", "time"}),
    "trailing_stop": null_or(money),
}
QUOTE: Mapping[str, Check] = {
    "symbol": text,
    "price": money,
    "timestamp": time,
    "age": seconds,
    "source": text,
    "delayed": flag,
    "unconfirmed": null_or(lambda value: isinstance(value, dict)),
}
NOTIFICATION: Mapping[str, Check] = {
    "id": object_id,
    "type": text,
    "message": text,
    "data": lambda value: isinstance(value, dict),
    "seq": whole,
    "is_read": flag,
    "created_at": time,
    "deliveries": lambda value: isinstance(value, list),
}


def assert_shape(body: Any, shape: Mapping[str, Check]) -> None:
    """Check that `body` has exactly these fields, each of its type."""
    assert set(body) == set(shape)
    wrong = {name: body[name] for name, check in shape.items() if not check(body[name])}
    assert not wrong, f"of the wrong type: {wrong}"


def assert_error(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Check the status and the body of an error; return its details."""
    assert (answer.status_code, answer.mimetype) == (status, "application/json"), answer.text[:500]
    body = answer.get_json()
    assert set(body) == {"error", "code", "details", "request_id"}
    assert body["code"] == code, body
    assert text(body["error"])
    assert body["request_id"] == answer.headers["X-Request-ID"]
    details = body["details"]
    assert isinstance(details, dict)
    return details
