"""Leaving: the export of everything about a person, and the deletion of their account."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.auth.erasure import finish_erasures
from app.database import collection
from app.models import Erasure, User
from app.monitor import Monitor
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.users import PASSWORD, Trader, registration

COLLECTIONS = (
    *("users", "inboxes", "portfolios", "trades", "alerts", "notifications", "answers"),
    *("api_keys", "webhooks", "webhook_deliveries", "second_factors", "codes", "erasures"),
    "watchlists",
)


def delete(trader: Trader, **body: Any) -> TestResponse:
    return trader.client.delete("/auth/me", json=body, headers=trader.headers)


def fill(trader: Trader) -> None:
    """Give a user some of everything."""
    key = {**trader.headers, "Idempotency-Key": "first"}
    order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}
    trader.client.post("/trades/create", json=order, headers=key)
    trader.create_trade(stop_loss=24_000)
    trader.post(f"/trades/exit/{trader.trades()[-1]['trade_id']}")
    trader.post("/market/alerts", {"symbol": "^NSEI", "above": 26_000})
    trader.post("/watchlists", {"name": "Mine", "symbols": ["^NSEI"]})
    trader.post("/notifications", {"event": "note", "message": "Hello"})
    trader.post("/auth/api-keys", {"name": "bot", "scopes": ["read"]})
    trader.post("/auth/totp", {"password": PASSWORD})
    for name in ("webhooks", "webhook_deliveries"):
        hook = {"webhook_id": trader.client_id, "number": 1, "due_at": None, "purge_at": None}
        collection(name).insert_one({"user_id": trader.client_id, **hook})
    trader.put("/notifications/preferences", json={"email": False, "sms": True, "events": None})


def mentions(user_id: str) -> list[str]:
    """Return the collections in which a user is mentioned."""
    return [
        name
        for name in COLLECTIONS
        if any(user_id in str(document) for document in collection(name).find({}))
    ]


def test_the_export_has_everything_and_no_credential(alice: Trader, bob: Trader) -> None:
    fill(alice)
    fill(bob)

    answer = alice.get("/auth/me/export")

    assert answer.mimetype == "application/json"
    exported = json.loads(answer.text)
    assert exported["account"]["email"] == alice.client_id
    assert exported["portfolios"][0]["initial_margin"] == 100_000.0
    assert exported["preferences"] == {"email": False, "sms": True, "events": None}
    assert [each["status"] for each in exported["trades"]] == ["ACTIVE", "CLOSED"]
    assert exported["trades"][0]["created_at"].endswith("Z")
    assert [each["above"] for each in exported["alerts"]] == [26_000.0]
    assert [each["symbols"] for each in exported["watchlists"]] == [["^NSEI"]]
    kinds = [each["type"] for each in exported["notifications"]]
    assert kinds.count("trade_created") == 2
    assert "note" in kinds
    assert exported["sessions"][0]["device"]
    assert exported["api_keys"][0]["name"] == "bot"
    assert bob.client_id not in answer.text
    for secret in ("scrypt:", "digest", "secret", "key_hash"):
        assert secret not in answer.text


def test_a_long_history_is_exported_whole(alice: Trader) -> None:
    alice.create_trade()
    sample = collection("notifications").find_one({})
    assert sample is not None
    count = 450
    collection("notifications").delete_many({})
    collection("notifications").insert_many(
        [{**sample, "_id": number, "seq": number} for number in range(1, count + 1)]
    )

    exported = json.loads(alice.get("/auth/me/export").text)["notifications"]

    assert [each["seq"] for each in exported] == list(range(count, 0, -1))


def test_exports_have_a_limit_of_their_own(make_app: Callable[..., Flask]) -> None:
    client = make_app(RATELIMIT_ENABLED=True).test_client()
    body = registration()
    client.post("/auth/register", json=body)
    login = {"email": body["email"], "password": PASSWORD}
    token = client.post("/auth/login", json=login).get_json()["access_token"]
    trader = Trader(client, body["email"], token)

    statuses = [trader.get("/auth/me/export").status_code for _ in range(11)]

    assert statuses == [200] * 10 + [429]


def test_deleting_an_account_needs_the_password(alice: Trader) -> None:
    assert_error(delete(alice), 400, "validation_error")
    assert_error(delete(alice, password="wrong"), 403, "password_wrong")
    assert alice.get("/auth/me").status_code == 200


def test_a_deleted_account_leaves_nothing_behind(
    alice: Trader, bob: Trader, client: FlaskClient
) -> None:
    fill(alice)
    fill(bob)
    others = {name: collection(name).count_documents({}) for name in COLLECTIONS}

    assert delete(alice, password=PASSWORD).status_code == 200

    assert mentions(alice.client_id) == []
    assert all(collection(name).count_documents({}) * 2 == count for name, count in others.items())
    assert_error(alice.get("/notifications"), 401, "token_revoked")
    login = {"email": alice.client_id, "password": PASSWORD}
    assert_error(client.post("/auth/login", json=login), 401, "invalid_credentials")
    assert bob.get("/auth/me").status_code == 200


def test_the_names_of_a_deleted_account_are_free(alice: Trader, client: FlaskClient) -> None:
    alice.create_trade()
    delete(alice, password=PASSWORD)

    again = client.post("/auth/register", json=registration(email=alice.client_id))
    assert again.status_code == 201
    login = {"email": alice.client_id, "password": PASSWORD}
    token = client.post("/auth/login", json=login).get_json()["access_token"]
    successor = Trader(client, alice.client_id, token)
    successor.open_portfolio()
    assert successor.trades() == []
    assert successor.notifications() == []


def test_an_interrupted_deletion_is_finished_and_reserves_the_names_until_then(
    alice: Trader, client: FlaskClient, clock: ManualClock
) -> None:
    fill(alice)
    user = User.find_by_client_id(alice.client_id)
    assert user is not None
    Erasure.begin(user, clock.now())

    taken = client.post("/auth/register", json=registration(email=alice.client_id))
    assert_error(taken, 409, "email_taken")

    assert finish_erasures() > 0
    assert mentions(alice.client_id) == []
    free = client.post("/auth/register", json=registration(email=alice.client_id))
    assert free.status_code == 201


def test_a_price_closes_no_trade_of_a_deleted_account(
    alice: Trader, bob: Trader, app: Flask, feed: ScriptedFeed, clock: ManualClock
) -> None:
    for trader in (alice, bob):
        trader.create_trade(stop_loss=24_000)
    user = User.find_by_client_id(alice.client_id)
    assert user is not None
    Erasure.begin(user, clock.now())
    feed.tick("^NSEI", 23_900)

    monitor = Monitor(app)
    monitor.run_once()

    assert bob.trades()[0]["status"] == "STOP_LOSS_HIT"
    finish_erasures()
    monitor.run_once()
    assert mentions(alice.client_id) == []
