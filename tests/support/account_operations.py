"""The operations on an account, its sessions and its keys, each ready to be sent."""

from __future__ import annotations

from tests.support.operations import Request
from tests.support.users import PASSWORD, Trader

KEYS = "/auth/api-keys"
HOOKS = "/notifications/webhooks"
# After `change_password`.
NEW_PASSWORD = f"{PASSWORD}-2"


def refresh(trader: Trader) -> Request:
    body = {"refresh_token": _sign_in(trader)["refresh_token"]}
    return lambda: trader.client.post("/auth/refresh", json=body)


def log_out(trader: Trader) -> Request:
    headers = {"Authorization": f"Bearer {_sign_in(trader)['access_token']}"}
    return lambda: trader.client.post("/auth/logout", headers=headers)


def end_session(trader: Trader) -> Request:
    _sign_in(trader)
    sessions = trader.get("/auth/sessions").get_json()["sessions"]
    other = next(session for session in sessions if not session["is_current"])
    path = f"/auth/sessions/{other['id']}"
    return lambda: trader.client.delete(path, headers=trader.headers)


def rename(trader: Trader) -> Request:
    body = {"name": "Another Name"}
    return lambda: trader.client.patch("/auth/me", headers=trader.headers, json=body)


def change_password(trader: Trader) -> Request:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return lambda: trader.post("/auth/password", body)


def create_api_key(trader: Trader) -> Request:
    body = {"name": "bot", "scopes": ["read"]}
    return lambda: trader.post(KEYS, body)


def delete_api_key(trader: Trader) -> Request:
    created = create_api_key(trader)().get_json()
    path = f"{KEYS}/{created['key_id']}"
    return lambda: trader.client.delete(path, headers=trader.headers)


def create_webhook(trader: Trader) -> Request:
    body = {"url": "https://bot.example.com/events"}
    return lambda: trader.post(HOOKS, body)


def change_webhook(trader: Trader) -> Request:
    path = f"{HOOKS}/{create_webhook(trader)().get_json()['webhook_id']}"
    body = {"enabled": False}
    return lambda: trader.client.patch(path, headers=trader.headers, json=body)


def delete_webhook(trader: Trader) -> Request:
    path = f"{HOOKS}/{create_webhook(trader)().get_json()['webhook_id']}"
    return lambda: trader.client.delete(path, headers=trader.headers)


ACCOUNT_OPERATIONS = (
    *(refresh, log_out, end_session, rename, change_password),
    *(create_api_key, delete_api_key, create_webhook, change_webhook, delete_webhook),
)


def _sign_in(trader: Trader) -> dict[str, str]:
    credentials = {"client_id": trader.client_id, "password": PASSWORD}
    signed_in = trader.client.post("/auth/login", json=credentials)
    assert signed_in.status_code == 200, signed_in.text
    tokens: dict[str, str] = signed_in.get_json()
    return tokens
