"""The AsyncAPI document: valid, complete, and true of what sockets really send."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient

from app.monitor import Monitor
from app.realtime.handlers import EVENTS
from tests.support.market import ScriptedFeed
from tests.support.quotes import DETAILS
from tests.support.server import ROOT
from tests.support.sockets import Socket
from tests.support.users import Trader

Connect = Callable[..., Socket]
OFFICIAL_SCHEMA = ROOT / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/asyncapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    body: dict[str, Any] = answer.get_json()
    return body


@pytest.fixture
def validate(document: dict[str, Any]) -> Callable[[str, Any], None]:
    """Raise for a payload that the message of this name does not allow."""

    def check(name: str, payload: Any) -> None:
        schema = document["components"]["messages"][name]["payload"]
        jsonschema_rs.validate({**schema, "components": document["components"]}, payload)

    return check


@pytest.mark.needs("node", package="nodejs")
def test_it_is_valid_by_the_official_schema_of_asyncapi_3(document: dict[str, Any]) -> None:
    validator = jsonschema_rs.Draft7Validator(json.loads(OFFICIAL_SCHEMA.read_text()))

    assert [error.message for error in validator.iter_errors(document)] == []


def test_every_event_that_a_socket_may_send_is_in_it(document: dict[str, Any]) -> None:
    received = [
        name for name, each in document["operations"].items() if each["action"] == "receive"
    ]

    assert received == EVENTS


def test_every_event_that_the_server_writes_or_emits_is_in_it(document: dict[str, Any]) -> None:
    messages = document["components"]["messages"]
    emitted, written = set(), set()
    for path in (ROOT / "app").rglob("*.py"):
        text = path.read_text()
        emitted |= set(re.findall(r'\bemit\(\s*"(\w+)"', text))
        written |= set(re.findall(r'^EVENT_TYPE = "(\w+)"', text, re.MULTILINE))
        for types in re.findall(r"EventDraft\([^)]*?type=([^,]+),", text, re.DOTALL):
            written |= set(re.findall(r'"(\w+)"', types))

    assert emitted == {"status", "live_price", "live_prices", "trade_update"}
    assert emitted == {each["name"] for each in messages.values()} & emitted
    documented = {name.partition(".")[2] for name in messages if name.startswith("trade_update.")}
    assert written == documented - {"custom"}


def test_every_field_is_described_with_an_example_and_every_schema_is_used(
    document: dict[str, Any],
) -> None:
    schemas = dict(document["components"]["schemas"])
    for name, message in document["components"]["messages"].items():
        assert message["summary"], name
        schemas[name] = message["payload"]
    for name, schema in schemas.items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description"), (name, field)
            is_object = "properties" in described or field == "data"
            assert described.get("examples") or is_object, (name, field)
    references = re.findall(r"#/components/schemas/(\w+)", json.dumps(document))
    assert set(references) == set(document["components"]["schemas"])


def test_received_events_are_as_documented(
    connect: Connect,
    alice: Trader,
    feed: ScriptedFeed,
    monitor: Monitor,
    validate: Callable[[str, Any], None],
) -> None:
    socket = connect(alice.token)
    validate("join.reply", socket.call("join", {"user_id": alice.client_id, "since": 0}))
    validate("subscribe.reply", socket.call("subscribe", {"symbols": ["TCS", "no such"]}))
    validate("unsubscribe.reply", socket.call("unsubscribe", {"symbols": ["TCS"]}))
    validate("refusal", socket.call("join", {}))
    validate("status", socket.next("status"))
    validate("live_price", socket.next("live_price"))
    names = {"symbols": ["RELIANCE"], "batch": True}
    validate("subscribe.reply", socket.call("subscribe", names))
    validate("live_prices", socket.next("live_prices"))
    trade = alice.create_trade(stop_loss=24_990).get_json()
    alice.create_trade()
    alice.post("/market/alerts", {"symbol": "^NSEI", "below": 24_995})
    feed.tick("^NSEI", "24989", DETAILS)
    monitor.run_once()
    alice.post(f"/trades/exit-all/{alice.client_id}")
    alice.post("/notifications", {"event": "reminder", "message": "Review trades."})

    updates = socket.updates_until(6)

    assert updates[0]["data"]["trade_id"] == trade["trade_id"]
    types = {update["event"] for update in updates}
    assert types == {
        "trade_created",
        "trade_auto_closed",
        "price_alert",
        "trade_exited",
        "reminder",
    }
    for update in updates:
        event = "custom" if update["event"] == "reminder" else update["event"]
        validate(f"trade_update.{event}", update)
    validate("leave.reply", socket.call("leave", {"user_id": alice.client_id}))


def test_a_payload_that_lacks_a_field_is_not_as_documented(
    validate: Callable[[str, Any], None],
) -> None:
    with pytest.raises(jsonschema_rs.ValidationError):
        validate("trade_update.custom", {"event": "reminder", "seq": 1, "data": {}})
