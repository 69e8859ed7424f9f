"""Invalid orders are refused with an explanation, and nothing is written."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.factories import assert_portfolio_balances
from tests.support.responses import assert_error
from tests.support.users import Trader, registration

ORDER = '{"symbol": "^NSEI", "trade_type": "BUY", "quantity": %s}'
LEVEL = '{"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1, "stop_loss": %s}'


def send(trader: Trader, body: str | bytes, content_type: str = "application/json") -> TestResponse:
    return trader.post("/trades/create", data=body, content_type=content_type)


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "}",
        "{'symbol': 'NIFTY'}",
        '{"symbol": "NIFTY",}',
        "{} {}",
        "symbol=NIFTY",
        b"\xff\xfe\xfa",
        b"\x00",
        '{"a": "\n"}',
        ORDER % "NaN",
        ORDER % "Infinity",
        LEVEL % "-Infinity",
        LEVEL % "NaN",
        ORDER % "01",
        ORDER % "+1",
        ORDER % "0x10",
        ORDER % ("9" * 5_000),
        ORDER % "1e99999999999999999999",
        LEVEL % "1e-99999999999999999999",
        "[" * 30_000,
        "[" * 30_000 + "]" * 30_000,
        '{"a":' * 10_000 + "1" + "}" * 10_000,
    ],
    ids=lambda body: repr(body)[-40:],
)
def test_a_body_that_is_not_json_is_malformed(deleted_user: Trader, body: str | bytes) -> None:
    assert assert_error(send(deleted_user, body), 400, "malformed_json") == {}


@pytest.mark.parametrize("body", ["[]", "null", "5", "-0", "true", '"text"', '[{"symbol": 1}]'])
def test_json_that_is_no_object_is_refused(deleted_user: Trader, body: str) -> None:
    assert_error(send(deleted_user, body), 400, "validation_error")


NUMBERS = [
    (ORDER, "quantity", ["1e400", "-1e400", "1e-1", "1.0001", "-0.0", "1e1000000", "9" * 4_000]),
    (LEVEL, "stop_loss", ["1e400", "-1e400", "-0", "-0.0", "0e5", "1e1000000", "-1e1000000"]),
    (LEVEL, "stop_loss", ["1e-400", "1e-1000000", "24990.0000000001", "9" * 4_000, "0.001"]),
]


def test_numbers_beyond_all_bounds_are_refused_by_field(
    alice: Trader, subtests: pytest.Subtests
) -> None:
    for template, field, numbers in NUMBERS:
        for number in numbers:
            with subtests.test(field=field, number=number[:20]):
                answer = send(alice, template % number)
                assert set(assert_error(answer, 400, "validation_error")) == {field}
    assert alice.trades() == []
    assert_portfolio_balances(alice.client_id)


@pytest.mark.parametrize("level", ["24990.00", "2.499e4", "24990.000000000000", "2499000e-2"])
def test_two_decimals_may_be_written_in_many_ways(alice: Trader, level: str) -> None:
    answer = send(alice, LEVEL % level)

    assert answer.status_code == 201
    assert answer.get_json()["stop_loss"] == 24_990.0


@pytest.mark.parametrize("quantity", ["1", "1.0", "1.000", "1e0", "10e-1"])
def test_a_whole_number_may_be_written_in_many_ways(alice: Trader, quantity: str) -> None:
    answer = send(alice, ORDER % quantity)

    assert answer.status_code == 201
    assert answer.get_json()["quantity"] == 1
    assert type(answer.get_json()["quantity"]) is int


@pytest.mark.parametrize(
    ("path", "body", "field", "nearest"),
    [
        ("/trades/create", LEVEL % "1356.516", "stop_loss", ["1356.51", "1356.52"]),
        ("/trades/create", LEVEL % "1356.5159999999998", "stop_loss", ["1356.51", "1356.52"]),
        ("/trades/create", LEVEL % "0.001", "stop_loss", ["0.01"]),
        ("/trades/create", LEVEL % "10000000.001", "stop_loss", ["10000000.00"]),
        (
            "/trades/create",
            LEVEL.replace("stop_loss", "target_price") % "26001.005",
            "target_price",
            ["26001.00", "26001.01"],
        ),
        (
            "/market/alerts",
            '{"symbol": "NIFTY", "above": 25500.129}',
            "above",
            ["25500.12", "25500.13"],
        ),
        ("/market/alerts", '{"symbol": "NIFTY", "below": 0.999}', "below", ["0.99", "1.00"]),
        (
            "/portfolio/create",
            '{"initial_margin": 5000.001}',
            "initial_margin",
            ["5000.00", "5000.01"],
        ),
        ("/portfolio/create", '{"initial_margin": 999.999}', "initial_margin", ["1000.00"]),
    ],
)
def test_an_amount_with_more_decimals_is_refused_with_the_nearest_that_are_taken(
    alice: Trader, path: str, body: str, field: str, nearest: list[str]
) -> None:
    answer = alice.post(path, data=body, content_type="application/json")

    details = assert_error(answer, 400, "validation_error")
    assert details == {field: f"must have at most two decimals; nearest: {' and '.join(nearest)}"}
    assert alice.trades() == []


def test_of_a_field_given_twice_the_last_counts_and_one_trade_is_opened(alice: Trader) -> None:
    answer = send(alice, '{"symbol":"^NSEI","trade_type":"BUY","quantity":1,"quantity":3}')

    assert answer.status_code == 201
    assert answer.get_json()["quantity"] == 3
    assert len(alice.trades()) == 1


def test_deep_but_valid_json_is_refused_by_field(deleted_user: Trader) -> None:
    answer = send(deleted_user, ORDER % ("[" * 400 + "]" * 400))
    assert set(assert_error(answer, 400, "validation_error")) == {"quantity"}


def test_lone_surrogates_are_no_text_anywhere(
    deleted_user: Trader, subtests: pytest.Subtests
) -> None:
    bad = "\ud800"
    order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}
    requests: list[tuple[str, dict[str, Any], set[str]]] = [
        ("/trades/create", {**order, "symbol": bad}, {"symbol"}),
        ("/trades/create", {**order, "trade_type": bad}, {"trade_type"}),
        ("/trades/create", {**order, bad: 1}, {"body"}),
        ("/auth/login", {"email": bad, "password": bad}, {"email", "password"}),
        ("/auth/register", registration(name=bad, phone=bad), {"name", "phone"}),
        ("/notifications", {"event": "note", "message": bad}, {"message"}),
    ]
    for path, body, fields in requests:
        with subtests.test(path=path, fields=fields):
            answer = deleted_user.post(path, body)
            assert set(assert_error(answer, 400, "validation_error")) == fields


OPERATORS: list[Any] = [{"$gt": ""}, {"$ne": None}, {"$where": "1"}, {"$regex": ".*"}, [{"$gt": 1}]]


def test_operators_of_the_database_are_values_of_the_wrong_type(
    alice: Trader, client: FlaskClient, subtests: pytest.Subtests
) -> None:
    for operator in OPERATORS:
        with subtests.test(operator=repr(operator)):
            for field in ("symbol", "trade_type", "quantity", "stop_loss", "target_price"):
                answer = alice.create_trade(**{field: operator})
                assert set(assert_error(answer, 400, "validation_error")) == {field}
            for field in ("email", "password"):
                body = {"email": alice.client_id, "password": "x" * 8, field: operator}
                answer = client.post("/auth/login", json=body)
                assert set(assert_error(answer, 400, "validation_error")) == {field}
            for field in ("name", "email", "phone", "password"):
                answer = client.post("/auth/register", json=registration(**{field: operator}))
                assert set(assert_error(answer, 400, "validation_error")) == {field}
    assert_portfolio_balances(alice.client_id)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("symbol=NIFTY&quantity=1&trade_type=BUY", "application/x-www-form-urlencoded"),
        (ORDER % 1, "text/plain"),
        (ORDER % 1, ""),
        (ORDER % 1, "application/xml"),
        (ORDER % 1, "application/x-www-form-urlencoded"),
        ("--x\r\n\r\n--x--", "multipart/form-data; boundary=x"),
    ],
)
def test_a_body_that_is_not_said_to_be_json_is_a_415(
    alice: Trader, body: str, content_type: str
) -> None:
    assert_error(send(alice, body, content_type), 415, "unsupported_media_type")
    assert alice.trades() == []


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/a+json"])
def test_json_may_be_said_with_a_charset_or_a_suffix(alice: Trader, content_type: str) -> None:
    assert send(alice, ORDER % 1, content_type).status_code == 201


def padded(size: int) -> str:
    """Return an order of exactly `size` bytes, all but a few of them blanks."""
    order = ORDER % 1
    return order + " " * (size - len(order))


def test_a_body_of_64_kib_is_read_and_one_byte_more_is_a_413(alice: Trader) -> None:
    assert send(alice, padded(64 * 1024)).status_code == 201
    assert_error(send(alice, padded(64 * 1024 + 1)), 413, "body_too_large")
    assert len(alice.trades()) == 1


@pytest.mark.parametrize("path", ["/auth/login", "/auth/register", "/trades/create"])
def test_ten_megabytes_are_a_413(deleted_user: Trader, path: str) -> None:
    body = padded(10 * 1024 * 1024)
    answer = deleted_user.post(path, data=body, content_type="application/json")
    assert_error(answer, 413, "body_too_large")


def test_a_large_body_without_a_length_is_a_413(deleted_user: Trader) -> None:
    # As a server hands on a chunked body: a stream that ends, and no Content-Length.
    answer = deleted_user.client.post(
        "/trades/create",
        headers=deleted_user.headers,
        input_stream=io.BytesIO(padded(1024 * 1024).encode()),
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert_error(answer, 413, "body_too_large")


def test_who_is_not_signed_in_hears_that_first(client: FlaskClient) -> None:
    answer = client.post("/trades/create", data="{", content_type="application/json")
    assert_error(answer, 401, "token_missing")
