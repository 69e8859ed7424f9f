"""Setting, listing and deleting price alerts."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask import Flask

from app.alerts.service import MAX_ACTIVE
from tests.support.alerts import alerted_symbols
from tests.support.concurrency import run_concurrently
from tests.support.execution import fire_crossed
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import (
    assert_error,
    assert_shape,
    money,
    null_or,
    object_id,
    text,
    time,
)
from tests.support.users import Trader

ALERT = {
    "alert_id": object_id,
    "user_id": text,
    "symbol": text,
    "above": null_or(money),
    "below": null_or(money),
    "status": text,
    "created_at": time,
    "direction": null_or(text),
    "price": null_or(money),
    "source": null_or(text),
    "timestamp": null_or(time),
    "settled_from": null_or(text),
    "triggered_at": null_or(time),
}
UNKNOWN = "0" * 24


def create(trader: Trader, **alert: Any) -> dict[str, Any]:
    answer = trader.post("/market/alerts", {"symbol": "^NSEI", **alert})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.get_json()
    assert_shape(body, ALERT)
    return body


def listed(trader: Trader, query: str = "") -> list[dict[str, Any]]:
    answer = trader.get(f"/market/alerts{query}")
    assert answer.status_code == 200, answer.text
    alerts: list[dict[str, Any]] = answer.get_json()["alerts"]
    return alerts


def delete(trader: Trader, alert_id: str) -> Any:
    return trader.client.delete(f"/market/alerts/{alert_id}", headers=trader.headers)


def tick(app: Flask, feed: ScriptedFeed, symbol: str, price: int) -> int:
    with app.app_context():
        return fire_crossed([feed.set(symbol, price)])


def test_an_alert_needs_no_portfolio_and_is_answered_as_it_was_set(carol: Trader) -> None:
    alert = create(carol, symbol="nifty", above=25_100.5, below=24_900)

    assert (alert["symbol"], alert["above"], alert["below"]) == ("^NSEI", 25_100.5, 24_900.0)
    assert (alert["status"], alert["user_id"]) == ("ACTIVE", carol.client_id)
    assert (alert["price"], alert["direction"], alert["triggered_at"]) == (None, None, None)
    assert carol.notifications() == []


@pytest.mark.parametrize("level", [{"above": 25_100}, {"below": 24_900}])
def test_one_level_is_enough(carol: Trader, level: dict[str, int]) -> None:
    alert = create(carol, **level)

    assert [name for name in ("above", "below") if alert[name] is not None] == list(level)


def test_an_alert_that_fired_tells_its_user_once(
    app: Flask, feed: ScriptedFeed, carol: Trader
) -> None:
    alert = create(carol, above=25_100)

    assert [tick(app, feed, "^NSEI", price) for price in (25_050, 25_101, 25_200)] == [0, 1, 0]

    (fired,) = listed(carol)
    assert_shape(fired, ALERT)
    assert (fired["status"], fired["direction"], fired["price"]) == ("TRIGGERED", "above", 25_101.0)
    assert (fired["source"], fired["settled_from"]) == ("mock", None)
    (event,) = carol.notifications()
    assert (event["type"], event["seq"]) == ("price_alert", 1)
    assert event["data"] == {
        "alert_id": alert["alert_id"],
        "symbol": "^NSEI",
        "above": 25_100.0,
        "below": None,
        "direction": "above",
        "price": 25_101.0,
        "source": "mock",
        "timestamp": fired["timestamp"],
    }


@pytest.mark.parametrize(
    ("levels", "field"),
    [
        ({"above": 25_000}, "above"),
        ({"above": 24_000}, "above"),
        ({"below": 25_000}, "below"),
        ({"below": 26_000, "above": 26_000}, "below"),
    ],
)
def test_a_level_that_is_crossed_already_is_refused_with_the_price(
    carol: Trader, levels: dict[str, int], field: str
) -> None:
    answer = carol.post("/market/alerts", {"symbol": "^NSEI", **levels})

    details = assert_error(answer, 400, "already_crossed")
    assert details == {field: f"must be {field} 25000.00", "price": 25_000.0}
    assert "25000.00" in answer.get_json()["error"]
    assert listed(carol) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"symbol": "^NSEI"}, "body"),
        ({"symbol": "^NSEI", "above": None, "below": None}, "body"),
        ({"above": 26_000}, "symbol"),
        ({"symbol": "^NSEI", "above": "26000"}, "above"),
        ({"symbol": "^NSEI", "above": 26_000.001}, "above"),
        ({"symbol": "^NSEI", "below": 0}, "below"),
        ({"symbol": "^NSEI", "below": -1}, "below"),
        ({"symbol": "^NSEI", "above": 10_000_001}, "above"),
        ({"symbol": "^NSEI", "above": 26_000, "once": True}, "once"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    carol: Trader, body: dict[str, Any], field: str
) -> None:
    assert set(assert_error(carol.post("/market/alerts", body), 400, "validation_error")) == {field}


def test_an_unknown_symbol_is_refused(carol: Trader) -> None:
    answer = carol.post("/market/alerts", {"symbol": "NOSUCH", "above": 1})
    assert "symbol" in assert_error(answer, 400, "unknown_symbol")
    assert_error(carol.get("/market/alerts?symbol=NOSUCH"), 400, "unknown_symbol")


def test_an_alert_without_a_price_is_refused(carol: Trader) -> None:
    answer = carol.post("/market/alerts", {"symbol": "TCS", "above": 5_000})

    assert_error(answer, 503, "market_data_unavailable")
    assert "Retry-After" in answer.headers


def test_only_the_signed_in_have_alerts(carol: Trader, deleted_user: Trader) -> None:
    anonymous = {"json": {"symbol": "^NSEI", "above": 26_000}}
    assert carol.client.post("/market/alerts", **anonymous).status_code == 401
    assert carol.client.get("/market/alerts").status_code == 401
    assert carol.client.delete(f"/market/alerts/{UNKNOWN}").status_code == 401
    answer = deleted_user.post("/market/alerts", {"symbol": "^NSEI", "above": 26_000})
    assert_error(answer, 401, "account_gone")
    assert listed(deleted_user) == []


def test_a_list_is_newest_first_a_page_at_a_time(carol: Trader, bob: Trader) -> None:
    create(bob, above=26_000)
    ids = [create(carol, above=25_001 + n)["alert_id"] for n in range(5)][::-1]

    first = carol.get("/market/alerts?limit=2").get_json()
    rest = carol.get(f"/market/alerts?limit=50&cursor={first['next_cursor']}").get_json()

    assert set(first) == {"alerts", "next_cursor"}
    assert [each["alert_id"] for each in first["alerts"] + rest["alerts"]] == ids
    assert rest["next_cursor"] is None
    assert [each["alert_id"] for each in listed(carol, f"?cursor={2**53}")] == ids


def test_status_and_symbol_filter_the_list(app: Flask, feed: ScriptedFeed, carol: Trader) -> None:
    fired = create(carol, above=25_100)["alert_id"]
    share = create(carol, symbol="RELIANCE", below=1_300)["alert_id"]
    index = create(carol, below=24_000)["alert_id"]
    tick(app, feed, "^NSEI", 25_200)

    def ids(query: str) -> list[str]:
        return [each["alert_id"] for each in listed(carol, query)]

    assert ids("") == [index, share, fired]
    assert ids("?status=ACTIVE") == [index, share]
    assert ids("?status=TRIGGERED") == [fired]
    assert ids("?symbol=nifty&status=ACTIVE") == [index]
    assert ids("?symbol=RELIANCE") == [share]


@pytest.mark.parametrize(
    ("query", "field"), [("status=OPEN", "status"), ("limit=0", "limit"), ("cursor=x", "cursor")]
)
def test_a_query_that_cannot_be_used_is_refused(carol: Trader, query: str, field: str) -> None:
    answer = carol.get(f"/market/alerts?{query}")
    assert set(assert_error(answer, 400, "validation_error")) == {field}


def test_an_alert_can_be_deleted_once_fired_or_not(
    app: Flask, feed: ScriptedFeed, carol: Trader
) -> None:
    fired, active = create(carol, above=25_100), create(carol, above=26_000)
    tick(app, feed, "^NSEI", 25_200)

    for alert in (fired, active):
        answer = delete(carol, alert["alert_id"])
        assert (answer.status_code, answer.get_json()) == (200, {"message": "Alert deleted"})
        assert_error(delete(carol, alert["alert_id"]), 404, "alert_not_found")
    assert listed(carol) == []
    # The event stays in the list.
    assert len(carol.notifications()) == 1


@pytest.mark.parametrize("alert_id", [UNKNOWN, "no-id", "%00"])
def test_deleting_an_unknown_alert_is_a_404(carol: Trader, alert_id: str) -> None:
    assert_error(delete(carol, alert_id), 404, "alert_not_found")


def test_anothers_alert_is_as_good_as_none(carol: Trader, bob: Trader) -> None:
    alert = create(carol, above=26_000)

    assert_error(delete(bob, alert["alert_id"]), 404, "alert_not_found")
    assert listed(bob) == []
    assert len(listed(carol)) == 1


def test_a_user_has_a_maximum_of_active_alerts(
    app: Flask, feed: ScriptedFeed, carol: Trader, bob: Trader, clock: ManualClock
) -> None:
    for n in range(MAX_ACTIVE - 1):
        create(carol, above=25_001 + n)
    body = {"symbol": "^NSEI", "above": 26_000}
    clients = [app.test_client() for _ in range(4)]

    answers = run_concurrently(
        [
            partial(client.post, "/market/alerts", json=body, headers=carol.headers)
            for client in clients
        ]
    )

    assert sorted(each.status_code for each in answers) == [201, 409, 409, 409]
    refused = carol.post("/market/alerts", {"symbol": "RELIANCE", "above": 2_000})
    assert assert_error(refused, 409, "too_many_alerts") == {"limit": MAX_ACTIVE}
    with app.app_context():
        # A refused alert is not watched.
        assert alerted_symbols() == {"^NSEI"}
    create(bob, above=26_000)
    assert tick(app, feed, "^NSEI", 25_001) == 1
    create(carol, above=26_000)


def test_a_retry_with_its_key_is_answered_as_the_first_time(
    app: Flask, feed: ScriptedFeed, carol: Trader, clock: ManualClock
) -> None:
    body = {"symbol": "^NSEI", "above": 25_100}
    headers = {**carol.headers, "Idempotency-Key": "one"}

    def ask(levels: dict[str, Any] = body) -> Any:
        return app.test_client().post("/market/alerts", json=levels, headers=headers)

    answers = run_concurrently([ask] * 4)
    assert [each.status_code for each in answers] == [201] * 4
    (alert,) = listed(carol)
    tick(app, feed, "^NSEI", 25_200)
    delete(carol, alert["alert_id"])
    clock.advance(60)
    feed.set("^NSEI", 25_200)
    assert_error(carol.post("/market/alerts", body), 400, "already_crossed")

    # Fired and deleted since, and crossed as it would be now.
    assert [each.get_json() for each in (*answers, ask())] == [alert] * 5
    assert listed(carol) == []
    assert_error(ask({**body, "above": 27_000}), 409, "idempotency_key_reused")


def change(trader: Trader, alert: dict[str, Any], **levels: float | None) -> Any:
    return trader.patch(f"/market/alerts/{alert['alert_id']}", levels)


def test_the_levels_of_an_alert_are_moved(app: Flask, feed: ScriptedFeed, carol: Trader) -> None:
    alert = create(carol, above=25_100, below=24_900)

    moved = change(carol, alert, above=25_200).get_json()
    assert moved == {**alert, "above": 25_200.0}
    assert listed(carol) == [moved]
    assert tick(app, feed, "^NSEI", 25_100) == 0
    assert tick(app, feed, "^NSEI", 25_200) == 1


def test_one_of_two_levels_is_removed(app: Flask, feed: ScriptedFeed, carol: Trader) -> None:
    alert = create(carol, above=25_100, below=24_900)

    assert change(carol, alert, above=None).get_json()["above"] is None
    assert tick(app, feed, "^NSEI", 25_100) == 0
    assert "below" in assert_error(change(carol, alert, below=None), 400, "validation_error")


def test_an_alert_is_not_moved_beyond_the_price(carol: Trader) -> None:
    alert = create(carol, above=25_100)

    assert_error(change(carol, alert, above=24_990), 400, "already_crossed")
    assert_error(change(carol, alert), 400, "validation_error")
    assert listed(carol) == [alert]


def test_a_fired_or_unknown_alert_is_not_moved(
    app: Flask, feed: ScriptedFeed, alice: Trader, bob: Trader
) -> None:
    alert = create(alice, above=25_100)

    assert_error(change(bob, alert, above=25_200), 404, "alert_not_found")
    assert_error(change(alice, {"alert_id": UNKNOWN}, above=25_200), 404, "alert_not_found")
    assert tick(app, feed, "^NSEI", 25_100) == 1
    assert_error(change(alice, alert, above=25_200), 409, "alert_changed")
