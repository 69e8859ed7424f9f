"""API keys: created and shown once, limited to their scopes, refused once deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api_keys.service import MAX_KEYS
from app.database import collection
from app.web import key_auth
from app.web.principal import Scope
from app.web.schemas import format_time
from tests.support.live import eventually
from tests.support.market import ManualClock
from tests.support.responses import (
    Check,
    assert_error,
    assert_shape,
    null,
    null_or,
    object_id,
    text,
)
from tests.support.responses import (
    time as moment,
)
from tests.support.users import Trader, sign_up

KEYS = "/auth/api-keys"
VIEW: Mapping[str, Check] = {
    "key_id": object_id,
    "name": text,
    "scopes": lambda value: isinstance(value, list),
    "last4": text,
    "created_at": moment,
    "expires_at": null_or(moment),
    "last_used_at": null_or(moment),
}


@dataclass
class Bot:
    """A client with an API key."""

    client: FlaskClient
    owner: Trader
    key: str
    key_id: str

    def open(self, method: str, path: str, **kwargs: Any) -> Any:
        return self.client.open(path, method=method, headers={"X-API-Key": self.key}, **kwargs)

    def get(self, path: str) -> Any:
        return self.open("GET", path)

    def trade(self) -> Any:
        order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}
        return self.open("POST", "/trades/create", json=order)


def make_bot(trader: Trader, *scopes: str, **fields: Any) -> Bot:
    body = {"name": "Bot", "scopes": list(scopes) or ["read", "trade"], **fields}
    created = trader.post(KEYS, body)
    assert created.status_code == 201, created.text
    shown = created.get_json()
    return Bot(trader.client, trader, shown["api_key"], shown["key_id"])


def listed(trader: Trader) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = trader.get(KEYS).get_json()["api_keys"]
    return keys


def test_a_key_is_shown_once_and_stored_as_a_hash(alice: Trader) -> None:
    created = alice.post(KEYS, {"name": " Breakout bot ", "scopes": ["trade", "read"]})

    assert created.status_code == 201
    body = created.get_json()
    assert_shape(body, {**VIEW, "api_key": text})
    key = body.pop("api_key")
    assert key_auth.KEY_FORMAT.fullmatch(key)
    assert (body["name"], body["scopes"]) == ("Breakout bot", ["read", "trade"])
    assert (body["last4"], body["expires_at"]) == (key[-4:], None)
    assert listed(alice) == [body]
    (stored,) = collection("api_keys").find()
    assert stored["key_hash"] == key_auth.hash_key(key)
    assert key not in str(stored)


def test_a_key_reads_and_trades_for_its_user(alice: Trader) -> None:
    bot = make_bot(alice)

    assert bot.trade().status_code == 201
    trades = bot.get(f"/trades/{alice.client_id}").get_json()["trades"]
    assert len(trades) == 1
    assert bot.get(f"/portfolio/{alice.client_id}").get_json()["utilized_margin"] == 5_000.0


def test_a_key_reaches_nothing_of_another_user(alice: Trader, bob: Trader) -> None:
    bot = make_bot(alice)

    assert_error(bot.get(f"/portfolio/{bob.client_id}"), 403, "forbidden")


@pytest.mark.parametrize(
    ("scope", "missing", "method", "path"),
    [
        ("read", "trade", "POST", "/trades/create"),
        ("read", "trade", "POST", "/notifications"),
        ("trade", "read", "GET", "/portfolio/{own}"),
        ("trade", "read", "GET", "/notifications"),
    ],
)
def test_a_missing_scope_is_named(
    alice: Trader, scope: str, missing: str, method: str, path: str
) -> None:
    bot = make_bot(alice, scope)

    answer = bot.open(
        method, path.format(own=alice.client_id), json={} if method != "GET" else None
    )

    assert assert_error(answer, 403, "insufficient_scope") == {
        "required": missing,
        "granted": [scope],
    }


def test_no_key_reaches_the_account_or_its_keys(
    app: Flask, alice: Trader, subtests: pytest.Subtests
) -> None:
    bot = make_bot(alice)
    routes = [
        ("GET", KEYS),
        ("POST", KEYS),
        ("DELETE", f"{KEYS}/{bot.key_id}"),
        ("POST", "/auth/verify/email"),
        ("PUT", "/notifications/preferences"),
    ]
    for method, path in routes:
        with subtests.test(method=method, path=path):
            answer = bot.open(method, path, json={} if method != "GET" else None)
            assert assert_error(answer, 403, "insufficient_scope")["required"] == "account"
    assert len(listed(alice)) == 1


def test_every_changing_route_under_auth_needs_the_scope_of_people(app: Flask) -> None:
    declared = {
        rule.endpoint: app.view_functions[rule.endpoint].__dict__["declaration"]
        for rule in app.url_map.iter_rules()
        if str(rule).startswith("/auth/") and rule.methods and rule.methods - {"GET", "HEAD"}
    }

    unguarded = [
        endpoint
        for endpoint, route in declared.items()
        if not route.public and route.scope is not Scope.ACCOUNT
    ]
    assert declared
    assert unguarded == []


def test_a_deleted_key_is_refused(alice: Trader) -> None:
    bot, other = make_bot(alice), make_bot(alice)
    assert bot.get("/notifications").status_code == 200

    assert alice.client.delete(f"{KEYS}/{bot.key_id}", headers=alice.headers).status_code == 200

    assert_error(bot.get("/notifications"), 401, "api_key_invalid")
    assert other.get("/notifications").status_code == 200
    assert [key["key_id"] for key in listed(alice)] == [other.key_id]


def test_a_key_that_another_process_deleted_is_refused_within_a_second(alice: Trader) -> None:
    bot = make_bot(alice)
    assert bot.get("/notifications").status_code == 200

    collection("api_keys").delete_many({})

    eventually(lambda: bot.get("/notifications").status_code == 401)
    assert key_auth.REMEMBERED_SECONDS < 1


def test_another_users_key_cannot_be_deleted(alice: Trader, bob: Trader) -> None:
    bot = make_bot(alice)

    for key_id in (bot.key_id, "unknown"):
        answer = bob.client.delete(f"{KEYS}/{key_id}", headers=bob.headers)
        assert_error(answer, 404, "api_key_not_found")
    assert bot.get("/notifications").status_code == 200


def test_an_expired_key_is_refused_and_listed_as_expired(alice: Trader, clock: ManualClock) -> None:
    expires_at = clock.now() + timedelta(minutes=5)
    bot = make_bot(alice, expires_at=format_time(expires_at))
    assert bot.get("/notifications").status_code == 200

    clock.advance(300)

    assert_error(bot.get("/notifications"), 401, "api_key_expired")
    assert [key["expires_at"] for key in listed(alice)] == [format_time(expires_at)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["read"]}, "name"),
        ({"name": " ", "scopes": ["read"]}, "name"),
        ({"name": "Bot"}, "scopes"),
        ({"name": "Bot", "scopes": []}, "scopes"),
        ({"name": "Bot", "scopes": ["account"]}, "scopes"),
        ({"name": "Bot", "scopes": ["read"], "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
    ],
)
def test_an_invalid_key_names_its_field(alice: Trader, body: dict[str, Any], field: str) -> None:
    assert field in assert_error(alice.post(KEYS, body), 400, "validation_error")


def test_a_key_must_expire_in_the_future(alice: Trader, clock: ManualClock) -> None:
    body = {"name": "Bot", "scopes": ["read"], "expires_at": format_time(clock.now())}

    details = assert_error(alice.post(KEYS, body), 400, "invalid_expiry")
    assert details == {"expires_at": "must be in the future"}


@pytest.mark.parametrize("key", ["", "ptk_", "ptk_" + "0" * 64, "ptk_" + "0" * 65, "x" * 9_000])
def test_a_key_that_does_not_exist_is_refused(client: FlaskClient, key: str) -> None:
    answer = client.get("/notifications", headers={"X-API-Key": key})

    assert_error(answer, 401, "api_key_invalid")


def test_a_key_sent_as_a_token_is_told_its_header(alice: Trader) -> None:
    bot = make_bot(alice)

    answer = alice.client.get("/notifications", headers={"Authorization": f"Bearer {bot.key}"})

    assert_error(answer, 401, "token_invalid")
    assert "X-API-Key" in answer.get_json()["error"]


def test_a_bad_key_is_refused_beside_a_good_token(alice: Trader) -> None:
    headers = {**alice.headers, "X-API-Key": "ptk_" + "0" * 64}

    assert_error(alice.client.get("/notifications", headers=headers), 401, "api_key_invalid")


def test_the_last_use_is_stored_at_most_once_a_minute(alice: Trader, clock: ManualClock) -> None:
    bot = make_bot(alice)
    (key,) = listed(alice)
    assert null(key["last_used_at"])
    first = clock.now()

    def use() -> str:
        with alice.client.application.app_context():
            key_auth.forget_key(key_auth.hash_key(bot.key))
        assert bot.get("/notifications").status_code == 200
        return str(listed(alice)[0]["last_used_at"])

    assert use() == format_time(first)
    clock.advance(59)
    assert use() == format_time(first)
    clock.advance(1)
    assert use() == format_time(first + timedelta(minutes=1))


def test_a_user_has_twenty_keys_that_work_at_most(alice: Trader, clock: ManualClock) -> None:
    soon = format_time(clock.now() + timedelta(minutes=1))
    make_bot(alice, expires_at=soon)
    bots = [make_bot(alice) for _ in range(MAX_KEYS - 1)]
    body = {"name": "One more", "scopes": ["read"]}

    assert assert_error(alice.post(KEYS, body), 409, "too_many_api_keys") == {"limit": MAX_KEYS}
    clock.advance(60)
    bots.append(make_bot(alice))
    assert_error(alice.post(KEYS, body), 409, "too_many_api_keys")
    alice.client.delete(f"{KEYS}/{bots[0].key_id}", headers=alice.headers)
    assert alice.post(KEYS, body).status_code == 201


def test_the_owner_is_notified_of_a_new_key(alice: Trader) -> None:
    bot = make_bot(alice, "read")

    (notice,) = alice.notifications()
    assert notice["type"] == "api_key_created"
    assert notice["data"] == {
        "key_id": bot.key_id,
        "scopes": ["read"],
        "last4": bot.key[-4:],
        "expires_at": None,
    }
    assert bot.key not in str(notice)


def test_no_key_is_created_for_a_deleted_user(deleted_user: Trader) -> None:
    answer = deleted_user.post(KEYS, {"name": "Bot", "scopes": ["read"]})

    assert_error(answer, 401, "account_gone")
    assert collection("api_keys").count_documents({}) == 0


@pytest.fixture
def limited(make_app: Callable[..., Flask]) -> Trader:
    """A user whose keys may write twice a minute, and people once."""
    app = make_app(
        RATELIMIT_ENABLED="true",
        RATELIMIT_DEFAULT="3 per minute",
        RATELIMIT_READS="2 per minute",
        RATELIMIT_API_KEYS="4 per minute",
    )
    trader = sign_up(app.test_client())
    trader.open_portfolio()
    return trader


def test_the_writes_of_a_key_have_a_limit_of_their_own(limited: Trader) -> None:
    bot, other = make_bot(limited, "trade"), make_bot(limited, "trade")

    assert [bot.trade().status_code for _ in range(4)] == [201] * 4
    refused = bot.open("POST", f"/trades/exit-all/{limited.client_id}")
    details = assert_error(refused, 429, "rate_limited")
    assert (details["limit"], details["allowed"]) == ("api_key_writes", "4 per 1 minute")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Remaining"]) == (
        "4", "0",
    )  # fmt: skip
    assert other.trade().status_code == 201
    assert limited.create_trade().status_code == 201


def test_the_reads_of_a_key_count_apart_from_those_of_its_user(limited: Trader) -> None:
    bot = make_bot(limited, "read")
    path = f"/portfolio/{limited.client_id}"

    assert [bot.get(path).status_code for _ in range(3)] == [200, 200, 429]
    assert [limited.get(path).status_code for _ in range(3)] == [200, 200, 429]


def test_a_bot_may_order_ten_times_a_second(make_settings: Callable[..., Any]) -> None:
    # The limit of Indian brokers for retail clients since 1 April 2026.
    assert make_settings().ratelimit_api_keys == "10 per second"
