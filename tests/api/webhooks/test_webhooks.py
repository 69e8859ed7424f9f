"""The routes of webhooks: creation, changes and tests."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest
import standardwebhooks
from flask.testing import FlaskClient

from app.database import collection
from app.delivery import WebhookWorker
from app.webhooks.service import MAX_WEBHOOKS
from tests.fakes.endpoint import Endpoint
from tests.support.market import ManualClock
from tests.support.responses import (
    assert_error,
    assert_shape,
    text,
)
from tests.support.users import Trader
from tests.support.webhook_requests import (
    ATTEMPT,
    DELIVERY,
    HOOKS,
    VIEW,
    change,
    create,
    log,
    notify,
    show,
)


def test_the_secret_is_shown_once_and_stored_nowhere(alice: Trader, endpoint: Endpoint) -> None:
    hook = create(alice, endpoint, events=["trade_exited", "TRADE_CREATED"], description=" Log ")

    assert_shape(hook, {**VIEW, "secret": text})
    secret = hook.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert (hook["events"], hook["description"]) == (["trade_created", "trade_exited"], "Log")
    assert (hook["enabled"], hook["last_seq"], hook["next_attempt_at"]) == (True, 0, None)
    assert show(alice, hook) == hook
    assert alice.get(HOOKS).get_json() == {"webhooks": [hook]}
    assert secret.removeprefix("whsec_") not in str(list(collection("webhooks").find()))


def test_two_webhooks_have_different_secrets(alice: Trader, endpoint: Endpoint) -> None:
    assert create(alice, endpoint)["secret"] != create(alice, endpoint)["secret"]


@pytest.mark.parametrize(
    "url",
    ["https://localhost/", "https://169.254.169.254/latest", "https://10.0.0.1/", "gopher://x.y/"],
)
def test_an_address_that_is_not_public_is_refused(alice: Trader, url: str) -> None:
    details = assert_error(alice.post(HOOKS, {"url": url}), 400, "webhook_url_refused")

    assert set(details) == {"url"}
    assert alice.get(HOOKS).get_json() == {"webhooks": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": "https://a.example/", "events": []}, "events"),
        ({"url": "https://a.example/", "events": ["trade_exitted"]}, "events"),
        ({"url": "https://a.example/", "description": "x" * 201}, "description"),
        ({"url": "https://a.example/", "secret": "whsec_mine"}, "secret"),
    ],
)
def test_an_invalid_webhook_names_its_field(
    alice: Trader, body: dict[str, Any], field: str
) -> None:
    assert field in assert_error(alice.post(HOOKS, body), 400, "validation_error")


@pytest.mark.parametrize("after_seq", [False, "1", -1, 0.5])
def test_a_seq_is_a_whole_number(alice: Trader, hook: dict[str, Any], after_seq: Any) -> None:
    details = assert_error(change(alice, hook, after_seq=after_seq), 400, "validation_error")

    assert set(details) == {"after_seq"}


def test_a_user_has_five_webhooks_at_most(alice: Trader, endpoint: Endpoint) -> None:
    hooks = [create(alice, endpoint) for _ in range(MAX_WEBHOOKS)]
    body = {"url": "https://a.example/"}

    assert assert_error(alice.post(HOOKS, body), 409, "too_many_webhooks") == {"limit": 5}
    alice.client.delete(f"{HOOKS}/{hooks[0]['webhook_id']}", headers=alice.headers)
    assert alice.post(HOOKS, body).status_code == 201


def test_another_users_webhook_does_not_exist(
    alice: Trader, bob: Trader, hook: dict[str, Any]
) -> None:
    path = f"{HOOKS}/{hook['webhook_id']}"
    delivery = alice.post(f"{path}/test").get_json()["delivery_id"]
    for method, address in (
        ("GET", path),
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/secret"),
        ("POST", f"{path}/test"),
        ("GET", f"{path}/deliveries"),
        ("POST", f"{path}/deliveries/{delivery}/replay"),
        ("GET", f"{HOOKS}/unknown"),
    ):
        answer = bob.client.open(address, method=method, headers=bob.headers)
        assert_error(answer, 404, "webhook_not_found")
    assert show(alice, hook)["enabled"] is True


def test_no_webhook_is_created_for_a_deleted_user(deleted_user: Trader) -> None:
    answer = deleted_user.post(HOOKS, {"url": "https://a.example/"})

    assert_error(answer, 401, "account_gone")


def test_a_key_reads_webhooks_and_changes_none(
    alice: Trader, hook: dict[str, Any], client: FlaskClient
) -> None:
    created = alice.post("/auth/api-keys", {"name": "Bot", "scopes": ["read", "trade"]})
    headers = {"X-API-Key": created.get_json()["api_key"]}
    path = f"{HOOKS}/{hook['webhook_id']}"

    assert client.get(path, headers=headers).status_code == 200
    assert client.get(f"{path}/deliveries", headers=headers).status_code == 200
    for method, address in (
        ("POST", HOOKS),
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/secret"),
        ("POST", f"{path}/test"),
    ):
        answer = client.open(address, method=method, headers=headers)
        assert assert_error(answer, 403, "insufficient_scope")["required"] == "account"


def test_a_test_message_is_sent_at_once_and_verifies(
    alice: Trader, hook: dict[str, Any], endpoint: Endpoint, use_present_time: None
) -> None:
    answer = alice.post(f"{HOOKS}/{hook['webhook_id']}/test")

    assert answer.status_code == 200
    delivery = answer.get_json()
    assert_shape(delivery, DELIVERY)
    (attempt,) = delivery["attempts"]
    assert_shape(attempt, ATTEMPT)
    assert (delivery["origin"], delivery["status"], delivery["seq"]) == ("test", "delivered", None)
    assert (attempt["status_code"], attempt["error"]) == (200, None)
    (request,) = endpoint.received
    body = standardwebhooks.Webhook(hook["secret"]).verify(request.body, request.headers)
    assert (body["event"], body["seq"]) == ("webhook_test", None)
    assert body["id"] == request.headers["webhook-id"]
    assert log(alice, hook) == [delivery]


def test_a_message_is_as_the_openapi_document_describes_it(
    alice: Trader,
    hook: dict[str, Any],
    endpoint: Endpoint,
    worker: WebhookWorker,
    client: FlaskClient,
) -> None:
    alice.create_trade()
    alice.post(f"{HOOKS}/{hook['webhook_id']}/test")
    worker.run_once()
    described = client.get("/openapi.json").get_json()["webhooks"]["event"]["post"]
    schema = described["requestBody"]["content"]["application/json"]["schema"]

    assert len(endpoint.received) == 2
    for request in endpoint.received:
        jsonschema_rs.validate(schema, request.json)
        assert set(request.json) == set(schema["properties"])
        for header in described["parameters"]:
            assert request.headers[header["name"]]


def test_a_failed_test_says_why(alice: Trader, hook: dict[str, Any], endpoint: Endpoint) -> None:
    endpoint.statuses = [500]
    path = f"{HOOKS}/{hook['webhook_id']}/test"

    refused = alice.post(path).get_json()
    change(alice, hook, url="https://no-such-name.invalid/")
    unknown = alice.post(path).get_json()

    assert (refused["status"], refused["attempts"][0]["status_code"]) == ("failed", 500)
    assert unknown["status"] == "failed"
    assert unknown["attempts"][0]["status_code"] is None
    assert "name is not known" in unknown["attempts"][0]["error"]
    # A test is no event: it does not count as a failure of the webhook.
    assert show(alice, hook)["failures"] == 0


def test_after_a_rotation_both_secrets_verify_for_a_day(
    alice: Trader,
    hook: dict[str, Any],
    endpoint: Endpoint,
    clock: ManualClock,
    use_present_time: None,
) -> None:
    path = f"{HOOKS}/{hook['webhook_id']}"
    rotated = alice.post(f"{path}/secret").get_json()
    alice.post(f"{path}/test")
    clock.advance(24 * 3_600)
    alice.post(f"{path}/test")

    assert rotated["secret"] != hook["secret"]
    during, after = endpoint.received
    for secret in (hook["secret"], rotated["secret"]):
        standardwebhooks.Webhook(secret).verify(during.body, during.headers)
    assert len(during.headers["webhook-signature"].split()) == 2
    assert len(after.headers["webhook-signature"].split()) == 1


def test_a_changed_webhook_receives_what_it_wants_now(
    alice: Trader, hook: dict[str, Any], endpoint: Endpoint, worker: WebhookWorker
) -> None:
    changed = change(alice, hook, events=["trade_created"], description="Trades only")
    notify(alice)
    alice.create_trade()
    worker.run_once()

    assert (changed.get_json()["events"], changed.get_json()["description"]) == (
        ["trade_created"], "Trades only",
    )  # fmt: skip
    assert endpoint.seqs == [2]
    assert show(alice, hook)["last_seq"] == 2
    assert change(alice, hook, events=None).get_json()["events"] is None


def test_a_disabled_webhook_receives_nothing_until_it_is_enabled(
    alice: Trader, hook: dict[str, Any], endpoint: Endpoint, worker: WebhookWorker
) -> None:
    disabled = change(alice, hook, enabled=False).get_json()
    notify(alice, 2)
    assert worker.run_once() == 0
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "by you")

    enabled = change(alice, hook, enabled=True).get_json()
    notify(alice)
    worker.run_once()

    assert (enabled["enabled"], enabled["disabled_at"]) == (True, None)
    # Nothing was lost meanwhile.
    assert endpoint.seqs == [1, 2, 3]


def test_a_deleted_webhook_leaves_nothing_behind(
    alice: Trader, hook: dict[str, Any], endpoint: Endpoint, worker: WebhookWorker
) -> None:
    notify(alice)
    worker.run_once()

    deleted = alice.client.delete(f"{HOOKS}/{hook['webhook_id']}", headers=alice.headers)
    notify(alice)
    worker.run_once()

    assert deleted.status_code == 200
    assert endpoint.seqs == [1]
    for name in ("webhooks", "webhook_deliveries", "webhook_wakes"):
        assert collection(name).count_documents({}) == 0


@pytest.fixture
def use_present_time(clock: ManualClock) -> None:
    """Set the clock to now: the library accepts no signature that is older than five minutes."""
    clock.advance((datetime.now(UTC) - clock.now()).total_seconds())
