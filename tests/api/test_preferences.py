"""Preferences: the channels and the types of events that a user wants."""

from __future__ import annotations

from typing import Any

import pytest

from app.database import collection
from app.models import EventType
from tests.support.responses import assert_error
from tests.support.users import Trader, sign_up

PATH = "/notifications/preferences"
EVERY_TYPE = [
    *("trade_created", "trade_filled", "trade_triggered"),
    *("trade_modified", "trade_adjusted", "trade_cancelled", "trade_expired", "trade_rejected"),
    *("trade_partially_exited", "trade_exited", "trade_auto_closed", "price_alert"),
    *("funds_deposited", "funds_withdrawn", "portfolio_reset", "custom"),
]
ALL_ON = {"email": True, "sms": True, "events": EVERY_TYPE}


def put(trader: Trader, **changes: Any) -> dict[str, Any]:
    answer = trader.put(PATH, json={**ALL_ON, **changes})
    assert answer.status_code == 200, answer.text
    preferences: dict[str, Any] = answer.get_json()
    return preferences


def test_a_new_user_gets_every_event_by_every_channel(carol: Trader) -> None:
    answer = carol.get(PATH)

    assert answer.status_code == 200
    assert answer.get_json() == ALL_ON
    assert [each.value for each in EventType] == EVERY_TYPE


def test_preferences_are_replaced_as_a_whole_and_kept(carol: Trader) -> None:
    chosen = {"email": False, "sms": True, "events": ["trade_created"]}

    assert put(carol, **chosen) == chosen
    assert carol.get(PATH).get_json() == chosen
    assert put(carol, sms=False) == {**ALL_ON, "sms": False}
    assert carol.get(PATH).get_json() == {**ALL_ON, "sms": False}


def test_they_are_each_users_own(carol: Trader, client: Any) -> None:
    other = sign_up(client)
    put(carol, email=False, events=[])

    assert other.get(PATH).get_json() == ALL_ON


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (None, EVERY_TYPE),
        ([], []),
        (["custom", "trade_exited", "custom"], ["trade_exited", "custom"]),
        (list(reversed(EVERY_TYPE)), EVERY_TYPE),
    ],
)
def test_null_is_every_type_and_an_empty_list_is_none(
    carol: Trader, sent: list[str] | None, kept: list[str]
) -> None:
    assert put(carol, events=sent)["events"] == kept
    assert carol.get(PATH).get_json()["events"] == kept


def test_every_type_includes_those_of_later_releases(carol: Trader) -> None:
    for every in (None, EVERY_TYPE):
        put(carol, events=[])
        put(carol, events=every)
        saved = collection("inboxes").find_one({"_id": carol.client_id})
        assert saved is not None
        assert saved["preferences"]["events"] is None


def test_an_unknown_type_is_refused_with_the_names_of_those_there_are(carol: Trader) -> None:
    answer = carol.put(PATH, json={**ALL_ON, "events": ["trade_created", "trade_opened"]})

    details = assert_error(answer, 400, "validation_error")
    assert set(details) == {"events"}
    for name in EVERY_TYPE:
        assert name in details["events"]
    assert carol.get(PATH).get_json() == ALL_ON


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", None),
        ("email", "yes"),
        ("sms", 1),
        ("sms", "true"),
        ("events", "trade_created"),
        ("events", [1]),
        ("events", [None]),
        ("events", {"trade_created": True}),
        ("events", ["custom"] * 101),
        ("push", True),
    ],
)
def test_what_cannot_be_used_is_refused_by_field(carol: Trader, field: str, value: Any) -> None:
    answer = carol.put(PATH, json={**ALL_ON, field: value})

    assert set(assert_error(answer, 400, "validation_error")) == {field}


@pytest.mark.parametrize("missing", ["email", "sms", "events"])
def test_a_missing_field_is_refused_because_a_put_replaces_everything(
    carol: Trader, missing: str
) -> None:
    body = {name: value for name, value in ALL_ON.items() if name != missing}

    assert set(assert_error(carol.put(PATH, json=body), 400, "validation_error")) == {missing}


def test_reading_and_changing_them_needs_a_token(client: Any) -> None:
    assert_error(client.get(PATH), 401, "token_missing")
    assert_error(client.put(PATH, json=ALL_ON), 401, "token_missing")


def test_an_account_that_is_gone_has_none(deleted_user: Trader) -> None:
    assert_error(deleted_user.get(PATH), 401, "account_gone")
    assert_error(deleted_user.put(PATH, json=ALL_ON), 401, "account_gone")


def test_an_event_that_is_off_is_listed_and_pushed_and_not_delivered(
    alice: Trader,
) -> None:
    put(alice, email=False, events=["trade_created"])
    alice.create_trade()
    alice.post("/notifications", {"event": "note", "message": "Hello"})

    note, opened = alice.notifications()
    assert [each["status"] for each in opened["deliveries"]] == ["skipped", "recorded"]
    assert [each["status"] for each in note["deliveries"]] == ["skipped", "skipped"]
    assert [each["attempts"] for each in note["deliveries"]] == [0, 0]
    assert all(each["at"] for each in note["deliveries"])


@pytest.mark.parametrize(
    ("event", "counts_as"),
    [("price_alert", "price_alert"), ("custom", "custom"), ("anything", "custom")],
)
def test_ones_own_event_counts_by_its_name_or_as_custom(
    carol: Trader, event: str, counts_as: str
) -> None:
    put(carol, events=[counts_as])
    carol.post("/notifications", {"event": event, "message": "Hello"})
    put(carol, events=[each for each in EVERY_TYPE if each != counts_as])
    carol.post("/notifications", {"event": event, "message": "Hello"})

    second, first = carol.notifications()
    assert {each["status"] for each in first["deliveries"]} == {"recorded"}
    assert {each["status"] for each in second["deliveries"]} == {"skipped"}
