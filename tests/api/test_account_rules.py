"""Strict account rules refuse weak accounts; relaxed rules accept them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.models import User
from tests.support.responses import assert_error
from tests.support.users import registration

STRICT = {"ACCOUNT_RULES": "strict"}
ASHA = {
    "name": "Asha Rao",
    "email": "asha.rao2@example.com",
    "phone": "9876543210",
    "client_id": "Trader-Asha",
}
GUESSABLE = [
    "1234567",
    "pass123",
    "password",
    "PASSWORD",
    "Password1",
    "Password1!",
    "12345678",
    "qwertyuiop",
    "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44",
    "        ",
    "aaaaaaaaaaaa",
    "e\u0301" * 5,
    "asha.rao2@example.com",
    "Asha.Rao2@Example.COM",
    "asharao2",
    "Asha Rao",
    "asha-rao-99",
    "asha12345",
    "2Example2",
    "trader-asha",
    "9876543210",
    "+91 98765 43210",
]
NO_MOBILES = [
    "1234567890",
    "022 2345 6789",
    "+1 202 555 0123",
    "+44 909 879 0000",
    "+870 776399999",
]


@pytest.fixture
def variables() -> dict[str, Any]:
    return STRICT


@pytest.mark.parametrize("password", GUESSABLE)
def test_a_guessable_password_is_refused(client: FlaskClient, password: str) -> None:
    answer = client.post("/auth/register", json={**ASHA, "password": password})
    assert set(assert_error(answer, 400, "validation_error")) == {"password"}
    assert User.find_by_name(ASHA["email"]) is None


@pytest.mark.parametrize(
    "password", ["correct horse", "k8#pQ2xv", "a-password-for-tests", "пароль-мой"]
)
def test_any_other_password_of_eight_characters_will_do(client: FlaskClient, password: str) -> None:
    answer = client.post("/auth/register", json={**ASHA, "password": password})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("phone", NO_MOBILES)
def test_only_mobile_numbers_of_the_allowed_countries_register(
    client: FlaskClient, phone: str
) -> None:
    body = registration(phone=phone)
    details = assert_error(client.post("/auth/register", json=body), 400, "validation_error")
    assert details == {"phone": "must be a mobile number of IN"}
    assert User.find_by_name(body["email"]) is None


def test_more_countries_can_be_allowed(make_app: Callable[..., Flask]) -> None:
    client = make_app(**STRICT, SMS_COUNTRIES="in, gb").test_client()

    for phone in ("9876543210", "+44 7400 123456"):
        assert client.post("/auth/register", json=registration(phone=phone)).status_code == 201
    refused = client.post("/auth/register", json=registration(phone="+1 202 555 0123"))
    details = assert_error(refused, 400, "validation_error")
    assert details == {"phone": "must be a mobile number of IN or GB"}


def test_all_that_is_wrong_is_named_at_once(client: FlaskClient) -> None:
    answer = client.post(
        "/auth/register", json=registration(phone="1234567890", password="pass123")
    )
    assert set(assert_error(answer, 400, "validation_error")) == {"phone", "password"}


@pytest.mark.parametrize("environment", ["development", "testing"])
def test_relaxed_rules_take_a_first_trial_as_it_is(
    make_app: Callable[..., Flask], environment: str
) -> None:
    client = make_app(APP_ENV=environment).test_client()
    body = registration(phone="1234567890", password="pass123")

    assert client.post("/auth/register", json=body).status_code == 201
    login = {"email": body["email"], "password": "pass123"}
    assert client.post("/auth/login", json=login).status_code == 200
