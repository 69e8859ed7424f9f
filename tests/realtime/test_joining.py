"""Users join and leave only their own room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.support.own_client import collection
from tests.support.sockets import Socket
from tests.support.users import Trader, sign_up

Connect = Callable[..., Socket]


def test_joining_ones_own_room_answers_the_seq_and_a_status(
    connect: Connect, alice: Trader
) -> None:
    alice.create_trade()
    socket = connect(alice.token)
    socket.next("status")

    answer = socket.call("join", {"user_id": alice.client_id})

    assert answer == {"ok": True, "user_id": alice.client_id, "seq": 1}
    assert socket.next("status") == {"msg": f"Joined the room of {alice.client_id}"}


def test_joining_anothers_room_is_forbidden(connect: Connect, alice: Trader, bob: Trader) -> None:
    socket = connect(bob.token)
    for user_id in (alice.client_id, alice.client_id.upper(), "nobody"):
        answer = socket.call("join", {"user_id": user_id})
        assert (answer["ok"], answer["code"]) == (False, "forbidden")
        assert isinstance(answer["error"], str)
    alice.create_trade()

    assert socket.rest("trade_update") == []


def test_a_token_may_come_with_the_join(connect: Connect, alice: Trader, bob: Trader) -> None:
    anonymous = connect()
    own = {"user_id": alice.client_id, "token": alice.token}
    assert anonymous.call("join", own)["ok"] is True

    others = {"user_id": alice.client_id, "token": bob.token}
    assert connect().call("join", others)["code"] == "forbidden"
    for bad in ("nonsense", "", 5, {"$gt": ""}):
        answer = connect().call("join", {"user_id": alice.client_id, "token": bad})
        assert (answer["ok"], answer["code"]) == (False, "unauthorized")
    alice.create_trade()
    assert anonymous.next("trade_update")["seq"] == 1


def test_a_bad_token_in_the_join_is_refused_even_if_the_connection_had_a_good_one(
    connect: Connect, alice: Trader
) -> None:
    socket = connect(alice.token)
    answer = socket.call("join", {"user_id": alice.client_id, "token": "nonsense"})
    assert answer["code"] == "unauthorized"


def test_any_spelling_of_the_own_user_joins_and_leaves(connect: Connect, app: Flask) -> None:
    trader = sign_up(app.test_client(), email="josé@bücher.example")
    socket = connect(trader.token)
    for joining, leaving in (
        ("JOSE\u0301@xn--bcher-kva.example", "josé@bücher.example"),
        ("josé@bücher.example", "josé@BÜCHER.example"),
    ):
        answer = socket.call("join", {"user_id": joining})
        assert answer["user_id"] == "josé@bücher.example"
        trader.post("/notifications", {"event": "hello", "message": "there"})
        assert socket.next("trade_update")["event"] == "hello"
        assert socket.call("leave", {"user_id": leaving})["ok"] is True
        trader.post("/notifications", {"event": "unheard", "message": "there"})
        assert socket.rest("trade_update") == []


BAD_PAYLOADS: list[Any] = [None, [], "", 5, {}, {"user_id": None}, {"user_id": 5}, "{", "[1]"]


def test_payloads_that_make_no_sense_are_answered_and_survived(
    connect: Connect, alice: Trader, subtests: pytest.Subtests
) -> None:
    socket = connect(alice.token)
    me = alice.client_id
    values: list[Any] = [-1, 1.5, "1", True, [], {"$gt": 0}]
    bad_since = [{"user_id": me, "since": since} for since in values]
    for event, payloads in (("join", BAD_PAYLOADS + bad_since), ("leave", BAD_PAYLOADS)):
        for payload in [*payloads, {"user_id": {"$gt": ""}}, {"user_id": ""}]:
            with subtests.test(event=event, payload=repr(payload)):
                answer = socket.call(event, payload)
                assert set(answer) == {"ok", "error", "code"}
                assert (answer["ok"], answer["code"]) == (False, "validation_error")
    assert socket.call("join", {"user_id": me})["ok"] is True


def test_after_leaving_nothing_comes_until_one_joins_again(connect: Connect, alice: Trader) -> None:
    socket = connect(alice.token)
    me = {"user_id": alice.client_id}
    socket.call("join", me)
    answer = socket.call("leave", me)
    assert answer["ok"] is True

    alice.create_trade()
    assert socket.rest("trade_update") == []
    assert socket.call("join", me) == {"ok": True, "seq": 1, **me}
    alice.create_trade()
    assert [each["seq"] for each in socket.rest("trade_update")] == [2]


def test_leaving_a_room_without_joining_it_changes_nothing_for_others(
    connect: Connect, alice: Trader, bob: Trader
) -> None:
    hers = connect(alice.token)
    hers.call("join", {"user_id": alice.client_id})
    other = connect(bob.token)
    assert other.call("leave", {"user_id": alice.client_id})["ok"] is True
    assert connect().call("leave", {"user_id": "nobody"})["ok"] is True

    alice.create_trade()
    assert hers.next("trade_update")["seq"] == 1


def test_joining_twice_brings_each_event_once(connect: Connect, alice: Trader) -> None:
    socket = connect(alice.token)
    for _ in range(3):
        socket.call("join", {"user_id": alice.client_id})
    alice.create_trade()

    assert [each["seq"] for each in socket.rest("trade_update")] == [1]


def test_an_event_the_server_does_not_know_is_ignored(connect: Connect, alice: Trader) -> None:
    socket = connect(alice.token)
    socket.emit("trade_update", {"event": "trade_exited", "data": {}, "seq": 99})
    socket.emit("drop_tables", {})

    assert socket.call("join", {"user_id": alice.client_id})["ok"] is True


def test_an_event_that_does_not_exist_is_refused_by_its_name(connect: Connect) -> None:
    answer = connect().call("subscibe", {"symbols": ["NIFTY"]})

    assert answer == {
        "ok": False,
        "error": "There is no event 'subscibe'. Did you mean 'subscribe'? "
        "Events are join, leave, subscribe, unsubscribe.",
        "code": "unknown_event",
    }


def test_a_fault_of_ours_is_answered_and_the_connection_stays(
    connect: Connect, alice: Trader
) -> None:
    socket = connect(alice.token)
    # A document that no version writes.
    collection("inboxes").update_one({"_id": alice.client_id}, {"$unset": {"event_seq": ""}})

    answer = socket.call("join", {"user_id": alice.client_id})

    assert (answer["ok"], answer["code"]) == (False, "internal_error")
    assert socket.call("leave", {"user_id": alice.client_id})["ok"]
