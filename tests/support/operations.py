"""The operations of the API that read or write the database, each ready to be sent."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

from werkzeug.test import TestResponse

from tests.support.users import PASSWORD, Trader, registration

Request = Callable[[], TestResponse]

_keys = itertools.count(1)


def create_trade(trader: Trader) -> Request:
    key = _key(trader)
    order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}
    body = {**order, "client_order_id": key["Idempotency-Key"]}
    return lambda: trader.client.post("/trades/create", headers=key, json=body)


def exit_trade(trader: Trader) -> Request:
    trade_id, key = trader.create_trade().get_json()["trade_id"], _key(trader)
    return lambda: trader.client.post(f"/trades/exit/{trade_id}", headers=key)


def exit_part(trader: Trader) -> Request:
    trade_id, key = trader.create_trade(quantity=2).get_json()["trade_id"], _key(trader)
    path = f"/trades/exit/{trade_id}"
    return lambda: trader.client.post(path, headers=key, json={"quantity": 1})


def place_pair(trader: Trader) -> Request:
    key, order = _key(trader), {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}
    orders = [
        {**order, "order_type": "LIMIT", "limit_price": 20_000},
        {**order, "order_type": "STOP", "stop_price": 30_000},
    ]
    return lambda: trader.client.post("/trades/oco", headers=key, json={"orders": orders})


def modify_order(trader: Trader) -> Request:
    path, key = f"/trades/{trader.client_id}/{_place_order(trader)}", _key(trader)
    return lambda: trader.client.patch(path, headers=key, json={"limit_price": 20_500})


def cancel_order(trader: Trader) -> Request:
    path, key = f"/trades/cancel/{_place_order(trader)}", _key(trader)
    return lambda: trader.client.post(path, headers=key)


def exit_all_trades(trader: Trader) -> Request:
    for _ in range(2):
        trader.create_trade()
    key = _key(trader)
    return lambda: trader.client.post(f"/trades/exit-all/{trader.client_id}", headers=key)


def deposit(trader: Trader) -> Request:
    path, key = f"/portfolio/{trader.client_id}/deposit", _key(trader)
    return lambda: trader.client.post(path, headers=key, json={"amount": 10})


def withdraw(trader: Trader) -> Request:
    path, key = f"/portfolio/{trader.client_id}/withdraw", _key(trader)
    return lambda: trader.client.post(path, headers=key, json={"amount": 5})


def reset_portfolio(trader: Trader) -> Request:
    trader.create_trade()
    path, key = f"/portfolio/{trader.client_id}/reset", _key(trader)
    return lambda: trader.client.post(path, headers=key)


def list_activities(trader: Trader) -> Request:
    return lambda: trader.get(f"/portfolio/{trader.client_id}/activities")


def create_alert(trader: Trader) -> Request:
    key, body = _key(trader), {"symbol": "^NSEI", "above": 26_000}
    return lambda: trader.client.post("/market/alerts", headers=key, json=body)


def delete_alert(trader: Trader) -> Request:
    created = trader.post("/market/alerts", {"symbol": "^NSEI", "above": 26_000}).get_json()
    path = f"/market/alerts/{created['alert_id']}"
    return lambda: trader.client.delete(path, headers=trader.headers)


def register(trader: Trader) -> Request:
    body = registration()
    return lambda: trader.client.post("/auth/register", json=body)


def sign_in(trader: Trader) -> Request:
    body = registration()
    trader.client.post("/auth/register", json=body)
    credentials = {"email": body["email"], "password": PASSWORD}
    return lambda: trader.client.post("/auth/login", json=credentials)


def send_event(trader: Trader) -> Request:
    key, body = _key(trader), {"event": "note", "message": "x"}
    return lambda: trader.client.post("/notifications", headers=key, json=body)


def mark_as_read(trader: Trader) -> Request:
    trader.post("/notifications", {"event": "note", "message": "x"})
    path = f"/notifications/{trader.notifications()[0]['id']}/read"
    return lambda: trader.put(path)


def set_preferences(trader: Trader) -> Request:
    body = {"email": False, "sms": True, "events": None}
    return lambda: trader.put("/notifications/preferences", json=body)


def read_portfolio(trader: Trader) -> Request:
    return lambda: trader.get(f"/portfolio/{trader.client_id}")


def list_trades(trader: Trader) -> Request:
    return lambda: trader.get(f"/trades/{trader.client_id}")


OPERATIONS = (
    *(exit_part, place_pair, modify_order, cancel_order),
    *(create_trade, exit_trade, exit_all_trades, deposit, withdraw, list_activities),
    reset_portfolio,
    *(create_alert, delete_alert, register, sign_in),
    *(send_event, mark_as_read, set_preferences, read_portfolio, list_trades),
)


def outcome(trader: Trader) -> dict[str, Any]:
    """Return what a user has, without ids and times: equal if the same was done as often."""
    portfolio = trader.portfolio()
    return {
        "trades": Counter(trade["status"] for trade in trader.trades()),
        "events": Counter(event["type"] for event in trader.notifications()),
        "unread": sum(not event["is_read"] for event in trader.notifications()),
        "alerts": len(trader.get("/market/alerts").get_json()["alerts"]),
        "preferences": trader.get("/notifications/preferences").get_json(),
        "margin": (portfolio["available_margin"], portfolio["utilized_margin"]),
    }


def _place_order(trader: Trader) -> str:
    """Place a pending order; return the id of its trade."""
    placed = trader.create_trade(order_type="LIMIT", limit_price=20_000).get_json()
    return str(placed["trade_id"])


def _key(trader: Trader) -> dict[str, str]:
    return {**trader.headers, "Idempotency-Key": f"operation-{next(_keys)}"}
