"""Refusals also reach clients that request no acknowledgement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.raw_sockets import RawSocket
from tests.support.sockets import Socket
from tests.support.users import Trader

Connect = Callable[..., Socket]


def test_a_refused_join_without_acknowledgement_is_reported_by_status(
    raw: Callable[..., RawSocket], alice: Trader, bob: Trader
) -> None:
    for token, code in ((None, "unauthorized"), (bob.token, "forbidden")):
        socket = raw(token)
        socket.emit("join", {"user_id": alice.client_id})

        status = socket.event("status")
        assert status["code"] == code
        assert isinstance(status["msg"], str)


def test_a_refused_join_with_acknowledgement_is_also_reported_by_status(
    connect: Connect, alice: Trader
) -> None:
    socket = connect()
    socket.next("status")

    answer = socket.call("join", {"user_id": alice.client_id})

    assert socket.next("status") == {"msg": answer["error"], "code": "unauthorized"}


REFUSED: list[tuple[str, Any, str]] = [
    ("join", {}, "validation_error"),
    ("leave", 5, "validation_error"),
    ("subscribe", {"symbols": 5}, "validation_error"),
    ("unsubscribe", None, "validation_error"),
    ("subscibe", {"symbols": ["TCS"]}, "unknown_event"),
    ("disconnect", {}, "unknown_event"),
]


@pytest.mark.parametrize(("event", "payload", "code"), REFUSED)
def test_any_refused_event_without_acknowledgement_is_reported_by_status(
    raw: Callable[..., RawSocket], event: str, payload: Any, code: str
) -> None:
    socket = raw()
    socket.emit(event, payload)

    assert socket.event("status")["code"] == code


def test_a_refusal_that_was_acknowledged_brings_no_status(connect: Connect) -> None:
    socket = connect()
    socket.next("status")
    assert socket.call("subscribe", {"symbols": 5})["ok"] is False

    assert socket.rest("status") == []


def test_refusals_are_logged_once_however_many_there_are(
    raw: Callable[..., RawSocket], caplog: pytest.LogCaptureFixture, alice: Trader
) -> None:
    caplog.set_level("INFO", "paper_trading")
    socket = raw()
    for _ in range(20):
        socket.emit("join", {"user_id": alice.client_id})
    socket.call("unsubscribe", {"symbols": []})

    lines = [each.getMessage() for each in caplog.records if "refused" in each.getMessage()]
    assert lines == ["socket event join refused, unauthorized: 127.0.0.1"]
