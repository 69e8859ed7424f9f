"""A retried request gets the same response, and nothing happens twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId
from flask import Flask
from werkzeug.test import TestResponse

from app.events import events_committed
from app.models import Notification
from app.monitor import Monitor
from tests.support.database_state import all_documents, assert_invariants, documents
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.retries import (
    AT_ONCE,
    ORDER,
    assert_refused,
    assert_same,
    create,
    exit_all_path,
    exit_path,
    interrupt,
    send,
    send_concurrently,
)
from tests.support.users import Trader


@pytest.fixture
def clock() -> ManualClock:
    """The present: the database itself forgets answers that are a week old."""
    return ManualClock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def announced(app: Flask) -> Iterator[list[Notification]]:
    """Every event that sockets and the outbox receive."""
    received: list[Notification] = []

    def record(_sender: object, events: list[Notification]) -> None:
        received.extend(events)

    events_committed.connect(record, sender=app)
    yield received
    events_committed.disconnect(record, sender=app)


@pytest.fixture
def move(feed: ScriptedFeed, clock: ManualClock) -> Callable[[int], None]:
    """Move NIFTY, and let the quote that was served until now grow old."""

    def move(price: int) -> None:
        clock.advance(60)
        feed.set("^NSEI", price)

    return move


@pytest.fixture(params=["key", "client_order_id", "both"])
def retried(request: pytest.FixtureRequest) -> Callable[..., TestResponse]:
    """Create a trade by a request that can be known again, in each of the ways."""

    def order(trader: Trader, **order: Any) -> TestResponse:
        named = {} if request.param == "key" else {"client_order_id": "my-order-1"}
        return create(trader, None if request.param == "client_order_id" else "k", **named, **order)

    return order


def test_a_retry_of_an_order_gets_the_first_answer_and_does_nothing(
    alice: Trader, retried: Callable[..., TestResponse], announced: list[Notification]
) -> None:
    first = retried(alice)
    before = all_documents()

    assert first.status_code == 201
    for _ in range(3):
        assert_same(retried(alice), first)
    assert all_documents() == before
    assert [each.type for each in announced] == ["trade_created"]
    assert_invariants(alice.client_id)


def test_a_retry_is_answered_when_the_price_has_passed_the_stop_loss(
    alice: Trader, retried: Callable[..., TestResponse], move: Callable[[int], None]
) -> None:
    first = retried(alice, stop_loss=24_900, target_price=25_100)
    for price in (24_000, 26_000):
        move(price)
        assert create(alice, stop_loss=24_900, target_price=25_100).status_code == 400
        assert_same(retried(alice, stop_loss=24_900, target_price=25_100), first)
    assert len(alice.trades()) == 1


def test_a_retry_is_answered_without_margin_left(
    alice: Trader, retried: Callable[..., TestResponse]
) -> None:
    first = retried(alice)
    assert create(alice, quantity=18).status_code == 201
    assert alice.portfolio()["available_margin"] == 0.0

    assert_same(retried(alice), first)
    assert_invariants(alice.client_id)


def test_a_retry_is_answered_when_the_trade_was_closed(
    alice: Trader, retried: Callable[..., TestResponse], feed: ScriptedFeed, monitor: Monitor
) -> None:
    first = retried(alice, stop_loss=24_900)
    feed.tick("^NSEI", 24_800)
    assert monitor.run_once().closed == 1
    before = all_documents()

    assert_same(retried(alice, stop_loss=24_900), first)
    assert all_documents() == before
    assert_invariants(alice.client_id)


def test_a_retry_is_answered_without_a_price(
    alice: Trader,
    retried: Callable[..., TestResponse],
    feed: ScriptedFeed,
    clock: ManualClock,
) -> None:
    first = retried(alice)
    feed.set("^NSEI", 0)
    clock.advance(3_600)

    assert create(alice).status_code == 503
    assert_same(retried(alice), first)


def test_the_same_order_many_times_at_once_opens_one_trade(
    alice: Trader, retried: Callable[..., TestResponse], announced: list[Notification]
) -> None:
    answers = send_concurrently(lambda: retried(alice))

    assert answers == [answers[0]] * AT_ONCE
    assert answers[0][0] == 201
    assert len(documents("trades")) == 1
    assert len(announced) == 1
    assert_invariants(alice.client_id)


def test_a_retry_of_an_exit_gets_the_first_answer_and_does_nothing(
    alice: Trader, move: Callable[[int], None], announced: list[Notification]
) -> None:
    trade = create(alice).get_json()
    move(25_010)
    first = send(alice, exit_path(trade), "k")
    before = all_documents()
    move(26_000)

    exited = {"message": "Trade exited", "pnl": 20.0, "exit_price": 25_010.0}
    assert first.get_json() == {**exited, "quantity": 2, "open_quantity": 0}
    for _ in range(3):
        assert_same(send(alice, exit_path(trade), "k"), first)
    assert all_documents() == before
    assert [each.type for each in announced] == ["trade_created", "trade_exited"]
    # Without the key, or with another one, it is a new request, and too late.
    assert_refused(send(alice, exit_path(trade)), 409, "trade_not_active")
    assert_refused(send(alice, exit_path(trade), "other"), 409, "trade_not_active")
    assert_invariants(alice.client_id)


def test_the_same_exit_many_times_at_once_closes_the_trade_once(
    alice: Trader, announced: list[Notification]
) -> None:
    trade = create(alice).get_json()
    answers = send_concurrently(lambda: send(alice, exit_path(trade), "k"))

    exited = {"message": "Trade exited", "pnl": 0.0, "exit_price": 25_000.0}
    assert answers == [(200, {**exited, "quantity": 2, "open_quantity": 0})] * 20
    assert len(announced) == 2
    assert_invariants(alice.client_id)


def test_one_key_for_two_exits_at_once_closes_one_of_the_trades(alice: Trader) -> None:
    paths = [exit_path(create(alice).get_json()) for _ in range(2)]
    turns = iter(paths * 10)

    answers = send_concurrently(lambda: send(alice, next(turns), "k"))
    assert sorted(status for status, _ in answers) == [200] * 10 + [409] * 10
    assert {body["code"] for status, body in answers if status == 409} == {"idempotency_key_reused"}
    assert sorted(each["status"] for each in alice.trades()) == ["ACTIVE", "CLOSED"]
    assert_invariants(alice.client_id)


def all_exited(count: int, total_pnl: float) -> dict[str, Any]:
    message = "All trades exited"
    return {
        "message": message,
        "total_pnl": total_pnl,
        "count": count,
        "cancelled": 0,
        "queued": [],
        "not_exited": [],
    }


def test_a_retry_of_exit_all_gets_the_first_answer_and_closes_no_later_trade(
    alice: Trader, move: Callable[[int], None], announced: list[Notification]
) -> None:
    for _ in range(3):
        create(alice)
    move(25_001)
    first = send(alice, exit_all_path(alice), "k")
    later = create(alice).get_json()
    before = all_documents()

    assert first.get_json() == all_exited(3, 6.0)
    assert_same(send(alice, exit_all_path(alice), "k"), first)
    assert all_documents() == before
    assert alice.trades("?status=ACTIVE")[0]["trade_id"] == later["trade_id"]
    assert len(announced) == 7
    assert_invariants(alice.client_id)


def test_exit_all_of_nothing_is_remembered_too(alice: Trader) -> None:
    nothing = all_exited(0, 0.0)
    assert send(alice, exit_all_path(alice), "k").get_json() == nothing
    create(alice)
    assert send(alice, exit_all_path(alice), "k").get_json() == nothing
    assert alice.trades()[0]["status"] == "ACTIVE"


def test_the_same_exit_all_many_times_at_once_closes_each_trade_once(
    alice: Trader, move: Callable[[int], None]
) -> None:
    for _ in range(5):
        create(alice)
    move(25_001)
    answers = send_concurrently(lambda: send(alice, exit_all_path(alice), "k"))

    whole = all_exited(5, 10.0)
    assert answers == [(200, whole)] * AT_ONCE
    assert_invariants(alice.client_id)


def test_a_retried_exit_all_continues_and_reports_all_exits(
    alice: Trader, move: Callable[[int], None]
) -> None:
    trades = [create(alice).get_json() for _ in range(4)]
    send(alice, exit_all_path(alice), "finished")
    interrupt(alice, "finished", trades, exited=2)
    later = create(alice).get_json()
    move(25_003)

    answer = send(alice, exit_all_path(alice), "finished")

    # Two at the price before, two for a gain of three rupees on two pieces each.
    assert answer.get_json() == all_exited(4, 12.0)
    assert_same(send(alice, exit_all_path(alice), "finished"), answer)
    assert [each["trade_id"] for each in alice.trades("?status=ACTIVE")] == [later["trade_id"]]
    assert_invariants(alice.client_id)


def test_a_key_used_again_for_another_body_is_refused(alice: Trader) -> None:
    create(alice, "k")
    for other in ({"quantity": 3}, {"trade_type": "SELL"}, {"stop_loss": 24_000}):
        assert_refused(create(alice, "k", **other), 409, "idempotency_key_reused")
    assert len(alice.trades()) == 1


def test_a_key_used_again_for_an_unknown_trade_is_refused(alice: Trader) -> None:
    assert send(alice, exit_path(create(alice).get_json()), "e").status_code == 200

    answer = send(alice, exit_path({"trade_id": "0" * 24}), "e")

    assert_refused(answer, 409, "idempotency_key_reused")


def test_a_key_used_again_on_another_route_is_refused(alice: Trader) -> None:
    first, second = create(alice, "k").get_json(), create(alice).get_json()
    assert_refused(send(alice, exit_path(first), "k"), 409, "idempotency_key_reused")
    assert_refused(send(alice, exit_all_path(alice), "k"), 409, "idempotency_key_reused")
    assert send(alice, exit_path(first), "e").status_code == 200
    assert_refused(send(alice, exit_path(second), "e"), 409, "idempotency_key_reused")
    assert_refused(send(alice, exit_all_path(alice), "e"), 409, "idempotency_key_reused")
    assert_refused(create(alice, "e"), 409, "idempotency_key_reused")
    assert len(alice.trades("?status=ACTIVE")) == 1


def test_an_order_that_means_the_same_is_the_same_however_it_is_written(alice: Trader) -> None:
    first = create(alice, "k", stop_loss=24_900)
    assert_same(create(alice, "k", stop_loss=24_900.0), first)
    assert_same(create(alice, "k", target_price=None, stop_loss=24_900), first)


def test_a_client_order_id_used_again_for_another_order_is_refused(alice: Trader) -> None:
    assert create(alice, client_order_id="mine").get_json()["client_order_id"] == "mine"
    answer = create(alice, client_order_id="mine", quantity=3)
    assert_refused(answer, 409, "client_order_id_reused")
    answer = create(alice, "a-key", client_order_id="mine", quantity=3)
    assert_refused(answer, 409, "client_order_id_reused")
    # The key of a refused request is free.
    assert create(alice, "a-key").status_code == 201


def test_different_orders_at_once_under_one_client_order_id_open_one_trade(
    alice: Trader,
) -> None:
    quantities = iter(list(range(1, 6)) * 4)
    answers = send_concurrently(
        lambda: create(alice, client_order_id="mine", quantity=next(quantities))
    )

    opened = [body for status, body in answers if status == 201]
    assert len(opened) == 4
    assert opened == [opened[0]] * 4
    assert {status for status, _ in answers} == {201, 409}
    assert_invariants(alice.client_id)


def test_keys_and_client_order_ids_are_each_users_own(alice: Trader, bob: Trader) -> None:
    answers = [create(each, "k", client_order_id="mine") for each in (alice, bob)]

    assert [each.status_code for each in answers] == [201, 201]
    first, second = (each.get_json() for each in answers)
    assert first["trade_id"] != second["trade_id"]
    assert (first["user_id"], second["user_id"]) == (alice.client_id, bob.client_id)
    # Neither does a key open another user's trade to anyone.
    assert_refused(send(bob, exit_path(first), "x"), 404, "trade_not_found")
    assert send(alice, exit_path(first), "x").status_code == 200
    assert_refused(send(bob, exit_path(first), "x"), 404, "trade_not_found")


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "k\u00e9y", "tab\tbed"])
def test_a_key_that_cannot_be_used_is_refused(alice: Trader, key: str) -> None:
    for path, body in (
        ("/trades/create", ORDER),
        (exit_all_path(alice), {}),
        (f"/trades/exit/{ObjectId()}", {}),
    ):
        answer = send(alice, path, key, body)
        assert_refused(answer, 400, "validation_error")
        assert list(answer.get_json()["details"]) == ["Idempotency-Key"]
    assert alice.trades() == []


def test_a_key_may_be_any_visible_characters_up_to_255(alice: Trader) -> None:
    for key in ("~" * 255, "!", "$.a{b}"):
        first = create(alice, key)
        assert first.status_code == 201
        assert_same(create(alice, key), first)


@pytest.mark.parametrize("client_order_id", ["", "x" * 65, 7, ["a"]])
def test_a_client_order_id_that_cannot_be_used_is_refused(
    alice: Trader, client_order_id: Any
) -> None:
    answer = create(alice, client_order_id=client_order_id)
    assert_refused(answer, 400, "validation_error")
    assert list(answer.get_json()["details"]) == ["client_order_id"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"quantity": 1_000}, "insufficient_margin"),
        ({"stop_loss": 25_001}, "wrong_side_of_price"),
        ({"symbol": "NOSUCH"}, "unknown_symbol"),
        ({"quantity": 0}, "validation_error"),
    ],
)
def test_an_order_that_failed_leaves_its_key_and_name_free(
    alice: Trader, wrong: dict[str, Any], code: str
) -> None:
    before = all_documents()
    assert_refused(create(alice, "k", client_order_id="mine", **wrong), 400, code)
    assert all_documents() == before

    assert create(alice, "k", client_order_id="mine").status_code == 201
    assert_invariants(alice.client_id)


def test_an_exit_that_failed_leaves_its_key_free(alice: Trader) -> None:
    assert_refused(send(alice, f"/trades/exit/{ObjectId()}", "k"), 404, "trade_not_found")
    trade = create(alice).get_json()
    assert send(alice, exit_path(trade), "k").status_code == 200
    assert_invariants(alice.client_id)
