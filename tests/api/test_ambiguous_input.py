"""Text that could not be shown in one line, and queries with two meanings, are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.responses import assert_error
from tests.support.retries import ORDER
from tests.support.users import Trader, registration

FAULT = "must not contain line breaks, control characters or invisible ones"
UNSHOWN = ["\x00", "\n", "\x1b", "\x7f", "\x85", "\u200b", "\u2028", "\u202e", "\u2066", "\ufeff"]
WEBHOOK = {"url": "https://bot.example.com/events"}


def _order(trader: Trader, text: str) -> TestResponse:
    return trader.post("/trades/create", {**ORDER, "client_order_id": text})


def _pair(trader: Trader, text: str) -> TestResponse:
    order = {"symbol": "NIFTY", "trade_type": "BUY", "quantity": 1, "client_order_id": text}
    return trader.post("/trades/oco", {"orders": [order, order]})


def _watchlist(trader: Trader, text: str) -> TestResponse:
    return trader.post("/watchlists", {"name": text})


def _key(trader: Trader, text: str) -> TestResponse:
    return trader.post("/auth/api-keys", {"name": text, "scopes": ["read"]})


def _webhook(trader: Trader, text: str) -> TestResponse:
    return trader.post("/notifications/webhooks", {**WEBHOOK, "description": text})


def _event(trader: Trader, text: str) -> TestResponse:
    return trader.post("/notifications", {"event": text, "message": "Review the open trades."})


def _account(trader: Trader, text: str) -> TestResponse:
    return trader.patch("/auth/me", {"name": text})


def _portfolio(trader: Trader, text: str) -> TestResponse:
    return trader.post("/portfolio/create", {"name": text})


@pytest.mark.parametrize(
    ("send", "field"),
    [
        (_order, "client_order_id"),
        (_watchlist, "name"),
        (_key, "name"),
        (_webhook, "description"),
        (_event, "event"),
        (_account, "name"),
    ],
)
def test_text_that_cannot_be_shown_in_one_line_is_refused(
    alice: Trader, send: Callable[[Trader, str], TestResponse], field: str
) -> None:
    for character in UNSHOWN:
        answer = send(alice, f"one{character}two")
        assert assert_error(answer, 400, "validation_error") == {field: FAULT}, ascii(character)
    assert alice.trades() == []


@pytest.mark.parametrize("character", UNSHOWN)
def test_nobody_registers_with_a_name_that_cannot_be_shown(
    client: FlaskClient, character: str
) -> None:
    answer = client.post("/auth/register", json=registration(name=f"Asha{character}Rao"))
    assert assert_error(answer, 400, "validation_error") == {"name": FAULT}


def test_a_pair_of_orders_names_the_order_whose_id_cannot_be_shown(alice: Trader) -> None:
    details = assert_error(_pair(alice, "one\x00two"), 400, "validation_error")
    assert details["orders.0.client_order_id"] == FAULT


def test_a_name_of_a_portfolio_has_no_such_characters(alice: Trader) -> None:
    for character in set(UNSHOWN) - {"\n", "\x85", "\u2028"}:  # Spaces between words to Unicode.
        assert_error(_portfolio(alice, f"one{character}two"), 400, "validation_error")


@pytest.mark.parametrize(
    "text",
    [
        "क्\u200dष",
        "👩\u200d💻",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "=cmd",
        "a  b",
        "é",
    ],
)
def test_words_of_any_script_are_taken_as_they_are(alice: Trader, text: str) -> None:
    answer = _order(alice, text)

    assert answer.status_code == 201
    assert answer.get_json()["client_order_id"] == text
    assert _watchlist(alice, text).get_json()["name"] == text


def test_a_line_end_after_a_name_is_left_out(alice: Trader) -> None:
    assert _watchlist(alice, " Banks\r\n").get_json()["name"] == "Banks"


@pytest.mark.parametrize(
    ("path", "repeated"),
    [
        ("/trades/{0}?limit=1&limit=2", "limit"),
        ("/trades/{0}?limit=1&limit=1", "limit"),
        ("/trades/{0}?status=ACTIVE&status=EXITED", "status"),
        ("/trades/{0}/export.csv?symbol=NIFTY&symbol=TCS", "symbol"),
        ("/notifications?unread=true&unread=false", "unread"),
        ("/portfolio/{0}?portfolio=default&portfolio=swing", "portfolio"),
        ("/market/quotes?symbols=NIFTY&symbols=TCS", "symbols"),
        ("/market/history/NIFTY?interval=1m&interval=5m", "interval"),
    ],
)
def test_a_parameter_that_is_given_twice_is_refused(
    alice: Trader, path: str, repeated: str
) -> None:
    answer = alice.get(path.format(alice.client_id))

    details: dict[str, Any] = assert_error(answer, 400, "validation_error")
    assert details == {repeated: "is given twice"}
