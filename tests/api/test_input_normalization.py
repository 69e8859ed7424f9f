"""Unambiguous input is accepted; an unknown name is refused with the known ones."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.trades.schemas import CreateTradeRequest
from tests.support.responses import assert_error
from tests.support.retries import ORDER, assert_same, send
from tests.support.users import Trader, registration


@pytest.mark.parametrize(
    "path",
    [
        "/portfolio/{0}/",
        "/trades/{0}/",
        "/trades/{0}/?status=ACTIVE",
        "/trades/performance/{0}/",
        "/market/live/NIFTY/",
        "/market/symbols/?q=tcs",
        "/market/alerts/",
        "/notifications/",
        "/notifications/preferences/",
        "/health/live/",
        "/openapi.json/",
    ],
)
def test_a_slash_at_the_end_of_an_address_changes_nothing(alice: Trader, path: str) -> None:
    path = path.format(alice.client_id)

    answer = alice.get(path)

    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.data == alice.get(path.replace("/?", "?").removesuffix("/")).data


def test_a_slash_at_the_end_of_an_address_takes_bodies_too(
    client: FlaskClient, alice: Trader
) -> None:
    assert client.post("/auth/register/", json=registration()).status_code == 201
    first = send(alice, "/trades/create/", "k", ORDER)
    assert first.status_code == 201
    # The same key at the same address, written the other way.
    assert_same(send(alice, "/trades/create", "k", ORDER), first)
    exit_path = f"/trades/exit/{first.get_json()['trade_id']}/"
    assert alice.post(exit_path).status_code == 200


@pytest.mark.parametrize("side", ["BUY", "buy", "Buy", "bUY", "sell", "Sell"])
def test_a_side_is_taken_in_any_case(alice: Trader, side: str) -> None:
    trade = alice.create_trade(trade_type=side)

    assert trade.status_code == 201
    assert trade.get_json()["trade_type"] == side.upper()


def test_an_order_in_another_case_is_the_same_order(alice: Trader) -> None:
    order = {**ORDER, "client_order_id": "one"}
    first = send(alice, "/trades/create", "k", order)
    again = {**order, "trade_type": "buy", "quantity": 2.0, "symbol": " ^NSEI "}

    assert_same(send(alice, "/trades/create", "k", again), first)
    assert_same(send(alice, "/trades/create", None, again), first)
    assert len(alice.trades()) == 1


def test_filters_are_taken_in_any_case(alice: Trader) -> None:
    alice.create_trade()

    for query in ("?status=active", "?status=Active", "?symbol=%20nifty%20"):
        assert len(alice.trades(query)) == 1
    assert alice.trades("?status=stop_loss_hit") == []
    assert alice.get("/market/alerts?status=triggered").get_json()["alerts"] == []


@pytest.mark.parametrize("interval", ["5M", "15M", "1H", "1D"])
def test_an_interval_is_taken_in_any_case_that_has_one_meaning(
    client: FlaskClient, interval: str
) -> None:
    answer = client.get(f"/market/history/NIFTY?interval={interval}")
    assert answer.get_json()["interval"] == interval.lower()


def test_a_month_is_no_minute(client: FlaskClient) -> None:
    details = assert_error(client.get("/market/history/NIFTY?interval=1M"), 400, "validation_error")
    assert details == {"interval": "must be 1m, 5m, 15m, 1h or 1d; did you mean 1m?"}


def test_types_of_events_are_taken_in_any_case(carol: Trader) -> None:
    body = {"email": True, "sms": False, "events": ["TRADE_CREATED", "Custom"]}
    answer = carol.put("/notifications/preferences", json=body)
    assert answer.get_json()["events"] == ["trade_created", "custom"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"],
)
def test_a_content_type_may_name_the_charset(alice: Trader, content_type: str) -> None:
    body = b'{"symbol": "NIFTY", "trade_type": "BUY", "quantity": 1}'
    for data in (body, b"\xef\xbb\xbf" + body, b"\r\n" + body + b"\n"):
        answer = alice.post("/trades/create", data=data, content_type=content_type)
        assert answer.status_code == 201


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n", b"{}", b'{"at_last_price": null}'])
def test_no_body_may_be_written_in_many_ways(alice: Trader, body: bytes) -> None:
    trade_id = alice.create_trade().get_json()["trade_id"]
    answer = alice.post(f"/trades/exit/{trade_id}", data=body, content_type="application/json")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "scheme", ["Bearer", "bearer", "BEARER", "Bearer Bearer", "Bearer  bearer"]
)
def test_the_word_before_a_token_may_be_there_twice(alice: Trader, scheme: str) -> None:
    answer = alice.client.get(
        "/notifications", headers={"Authorization": f"{scheme} {alice.token}"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("stoploss", "stop_loss"),
        ("stopLoss", "stop_loss"),
        ("stop-loss", "stop_loss"),
        ("Symbol", "symbol"),
        ("tradeType", "trade_type"),
        ("type", "trade_type"),
        ("target", "target_price"),
        ("targetPrice", "target_price"),
        ("quantitty", "quantity"),
        ("clientOrderId", "client_order_id"),
    ],
)
def test_an_unknown_field_is_named_with_the_one_that_was_meant(
    alice: Trader, field: str, meant: str
) -> None:
    details = assert_error(alice.create_trade(**{field: 1}), 400, "validation_error")

    known = ", ".join(CreateTradeRequest.model_fields)
    assert details == {field: f"unknown field {field}; did you mean {meant}? Known: {known}"}
    assert {"symbol", "trade_type", "quantity"} <= set(known.split(", "))
    assert alice.trades() == []


def test_an_unknown_field_unlike_any_other_is_named_with_the_known_ones(alice: Trader) -> None:
    details = assert_error(alice.create_trade(xyz=1), 400, "validation_error")
    known = ", ".join(CreateTradeRequest.model_fields)
    assert details == {"xyz": f"unknown field xyz. Known: {known}"}


@pytest.mark.parametrize(
    ("path", "name", "meant"),
    [
        ("/trades/{0}?statuss=ACTIVE", "statuss", "status"),
        ("/trades/{0}?Limit=5", "Limit", "limit"),
        ("/market/history/NIFTY?intervall=5m", "intervall", "interval"),
        ("/market/history/NIFTY?form=2026-11-23", "form", "from"),
        ("/market/alerts?curser=1", "curser", "cursor"),
    ],
)
def test_an_unknown_parameter_is_named_with_the_one_that_was_meant(
    alice: Trader, path: str, name: str, meant: str
) -> None:
    answer = alice.get(path.format(alice.client_id))
    details = assert_error(answer, 400, "validation_error")
    assert details[name].startswith(f"unknown field {name}; did you mean {meant}? Known: ")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"trade_type": "BYU"}, "must be BUY or SELL; did you mean BUY?"),
        ({"trade_type": "HOLD"}, "must be BUY or SELL"),
        ({"trade_type": None}, "must be BUY or SELL"),
    ],
)
def test_an_unknown_choice_is_named_with_those_there_are(
    alice: Trader, body: dict[str, Any], fault: str
) -> None:
    details = assert_error(alice.create_trade(**body), 400, "validation_error")
    assert details == {"trade_type": fault}


def test_an_unknown_symbol_is_named_with_those_that_were_meant(alice: Trader) -> None:
    answer = alice.create_trade(symbol="RELIANC")
    assert_error(answer, 400, "unknown_symbol")
    assert "Did you mean RELIANCE.NS or RELIANCE.BO?" in answer.get_json()["error"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity", "1"),
        ("quantity", "1,000"),
        ("quantity", 1.5),
        ("quantity", True),
        ("stop_loss", "24,000"),
        ("stop_loss", "24000"),
        ("stop_loss", "2.4e4"),
        ("trade_type", "long"),
    ],
)
def test_money_and_quantities_are_taken_as_numbers_only(
    alice: Trader, field: str, value: Any
) -> None:
    assert set(assert_error(alice.create_trade(**{field: value}), 400, "validation_error")) == {
        field
    }
    assert alice.trades() == []
