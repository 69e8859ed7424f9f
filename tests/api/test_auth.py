"""Registering and signing in."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient

from app.models import User
from tests.support.responses import assert_error, assert_shape, text, whole
from tests.support.users import PASSWORD, registration, sign_up

REGISTERED = {"message": text, "client_id": text}


def login(client: FlaskClient, **body: Any) -> Any:
    return client.post("/auth/login", json={"password": PASSWORD, **body})


def test_registering_answers_the_email_in_lower_case_as_client_id(client: FlaskClient) -> None:
    answer = client.post("/auth/register", json=registration(email="Meera@Example.COM"))

    assert answer.status_code == 201
    assert answer.get_json() == {"message": "User registered", "client_id": "meera@example.com"}


def test_registering_keeps_no_password_and_the_time(client: FlaskClient) -> None:
    body = registration(name="  Meera Rao ")
    client.post("/auth/register", json=body)

    user = User.find_by_client_id(body["email"])
    assert user is not None
    assert user.name == "Meera Rao"
    assert PASSWORD not in user.password_hash
    assert user.password_hash.startswith("scrypt:")
    assert user.created_at.tzinfo is not None


def test_a_given_client_id_is_kept_and_signs_in(client: FlaskClient) -> None:
    body = registration(client_id="Desk-7.a_b")
    answer = client.post("/auth/register", json=body)

    assert answer.status_code == 201
    assert_shape(answer.get_json(), REGISTERED)
    assert answer.get_json()["client_id"] == "Desk-7.a_b"
    signed_in = login(client, client_id="Desk-7.a_b")
    assert signed_in.status_code == 200
    assert signed_in.get_json()["client_id"] == "Desk-7.a_b"


def test_the_token_says_who_for_24_hours(client: FlaskClient) -> None:
    body = registration()
    client.post("/auth/register", json=body)

    answer = login(client, email=body["email"].upper())

    assert answer.status_code == 200
    tokens = {"access_token": text, "refresh_token": text, "client_id": text}
    assert_shape(answer.get_json(), {**tokens, "expires_in": whole})
    assert answer.get_json()["client_id"] == body["email"]
    claims = jwt.decode(answer.get_json()["access_token"], options={"verify_signature": False})
    assert claims["sub"] == body["email"]
    assert claims["exp"] - claims["iat"] == 24 * 60 * 60


def test_one_can_sign_in_with_the_email_as_client_id(client: FlaskClient) -> None:
    body = registration(email="Mixed.Case@example.com")
    client.post("/auth/register", json=body)

    assert login(client, client_id="Mixed.Case@example.com").status_code == 200


def test_an_email_differing_only_in_case_is_taken(client: FlaskClient) -> None:
    assert client.post("/auth/register", json=registration(email="one@x.in")).status_code == 201

    again = client.post("/auth/register", json=registration(email="ONE@X.in"))
    assert_error(again, 409, "email_taken")
    with_id = registration(email="One@x.in", client_id="other")
    assert_error(client.post("/auth/register", json=with_id), 409, "email_taken")


def test_a_client_id_is_taken_once(client: FlaskClient) -> None:
    client.post("/auth/register", json=registration(client_id="desk"))

    again = client.post("/auth/register", json=registration(client_id="desk"))
    assert_error(again, 409, "client_id_taken")


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("9876543210", "+919876543210"),
        ("09876543210", "+919876543210"),
        ("+91 98765-43210", "+919876543210"),
        ("+1 (202) 555-0123", "+12025550123"),
        ("1234567890", "+911234567890"),
        ("+44 20 7946 0958", "+442079460958"),
        ("+65 6123 4567", "+6561234567"),
    ],
)
def test_a_phone_number_is_stored_as_e164_and_indian_by_default(
    client: FlaskClient, given: str, stored: str
) -> None:
    body = registration(phone=given)
    assert client.post("/auth/register", json=body).status_code == 201

    user = User.find_by_name(body["email"])
    assert user is not None
    assert user.phone == stored


@pytest.mark.parametrize("password", ["123456", "pass word", "пароль", "p" * 256])
def test_a_password_of_six_characters_or_more_will_do(client: FlaskClient, password: str) -> None:
    body = registration(password=password)

    assert client.post("/auth/register", json=body).status_code == 201
    assert login(client, email=body["email"], password=password).status_code == 200
    wrong = login(client, email=body["email"], password=password[:-1] + "?")
    assert_error(wrong, 401, "invalid_credentials")


BAD_FIELDS: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "   "),
    ("name", "n" * 101),
    ("name", "a\x00b"),
    ("name", 7),
    ("name", None),
    ("name", {"$gt": ""}),
    ("email", ""),
    ("email", "nobody"),
    ("email", "a@b@c.in"),
    ("email", "a b@c.in"),
    ("email", "a@c.in\nBcc: x@y.in"),
    ("email", "a" * 250 + "@x.in"),
    ("email", {"$ne": None}),
    ("email", ["a@b.in"]),
    ("phone", ""),
    ("phone", "12"),
    ("phone", "call me"),
    ("phone", "987654321"),
    ("phone", "98765432101"),
    ("phone", "+91 98765 4321"),
    ("phone", "+919876543210123"),
    ("phone", "+1 202 555 012"),
    ("phone", "+65 6123 456"),
    ("phone", "9876543210 ext. 5"),
    ("phone", "call 9876543210"),
    ("email", "\u0430lice@example.com"),
    ("email", "alice@ex\u0430mple.com"),
    ("phone", "+999999999999999999"),
    ("phone", 9876543210),
    ("phone", {"$gt": ""}),
    ("password", "12345"),
    ("password", ""),
    ("password", "p" * 257),
    ("password", 123456),
    ("password", True),
    ("password", {"$gt": ""}),
    ("client_id", ""),
    ("client_id", "has space"),
    ("client_id", "someone@else.in"),
    ("client_id", "a/b"),
    ("client_id", "$where"),
    ("client_id", "c" * 65),
    ("client_id", "desk\n"),
    ("client_id", {"$gt": ""}),
]


def test_a_refused_registration_names_each_wrong_field_and_creates_no_user(
    client: FlaskClient, subtests: pytest.Subtests
) -> None:
    for field, value in BAD_FIELDS:
        with subtests.test(field=field, value=repr(value)[:40]):
            body = registration(**{field: value})
            details = assert_error(
                client.post("/auth/register", json=body), 400, "validation_error"
            )
            assert set(details) == {field}
            if isinstance(body["email"], str):
                assert User.find_by_name(body["email"].lower()) is None


def test_registering_names_missing_and_extra_fields(client: FlaskClient) -> None:
    nothing = assert_error(client.post("/auth/register", json={}), 400, "validation_error")
    assert set(nothing) == {"name", "email", "phone", "password"}

    extra = client.post("/auth/register", json=registration(is_admin=True, event_seq=5))
    assert set(assert_error(extra, 400, "validation_error")) == {"is_admin", "event_seq"}


def test_an_unknown_user_and_a_wrong_password_get_the_same_response(
    client: FlaskClient,
) -> None:
    trader = sign_up(client)
    answers = [
        login(client, email=trader.client_id, password="not-the-password"),
        login(client, email="nobody@example.com"),
        login(client, client_id=trader.client_id, password="not-the-password"),
        login(client, client_id="nobody"),
    ]

    bodies = []
    for answer in answers:
        assert_error(answer, 401, "invalid_credentials")
        bodies.append({**answer.get_json(), "request_id": ""})
    assert all(body == bodies[0] for body in bodies)
    header_names = [sorted(answer.headers.keys()) for answer in answers]
    assert all(names == header_names[0] for names in header_names)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "a@b.in"},
        {"password": PASSWORD},
        {"email": "a@b.in", "client_id": "a", "password": PASSWORD},
        {"email": {"$gt": ""}, "password": {"$gt": ""}},
        {"email": "a@b.in", "password": 123456},
        {"email": ["a@b.in"], "password": PASSWORD},
        {"client_id": {"$ne": None}, "password": PASSWORD},
        {"email": "a@b.in", "password": PASSWORD, "remember": True},
    ],
)
def test_signing_in_needs_one_name_and_a_password_as_text(client: FlaskClient, body: Any) -> None:
    assert assert_error(client.post("/auth/login", json=body), 400, "validation_error")


def test_each_sign_in_is_logged_with_its_account_and_address_and_no_password(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    body = registration()
    client.post("/auth/register", json=body)

    for email, password in (
        (body["email"], PASSWORD),
        (body["email"], "a-wrong-password"),
        ("my-password@example.com", "another"),
    ):
        client.post("/auth/login", json={"email": email, "password": password})

    lines = [each for each in caplog.records if each.message in ("signed in", "sign-in failed")]
    assert [(each.message, each.fields["user"]) for each in lines] == [  # type: ignore[attr-defined]
        ("signed in", body["email"]),
        ("sign-in failed", body["email"]),
        ("sign-in failed", "unknown"),
    ]
    assert all(each.fields["address"] == "127.0.0.1" for each in lines)  # type: ignore[attr-defined]
