"""Accounts: what users see and change of their own, and passwords that they forgot."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.database import collection
from app.models import Identity, User
from tests.fakes.smtp import MailServer
from tests.support.live import eventually
from tests.support.market import ManualClock
from tests.support.responses import assert_error
from tests.support.users import PASSWORD, Trader, registration, sign_up

pytestmark = pytest.mark.needs("openssl")

NEW_PASSWORD = "quite-another-password"


@pytest.fixture
def variables(mail_server: MailServer) -> dict[str, Any]:
    return {**mail_server.environment, "SMTP_SERVER": "localhost"}


@pytest.fixture(autouse=True)
def sent_mails(mail_server: MailServer) -> Iterator[None]:
    """Wait for the mails that are sent in the background before their server stops."""
    yield
    for thread in threading.enumerate():
        if thread.name.endswith("(notify)"):
            thread.join(30)


@pytest.fixture
def asha(client: FlaskClient) -> Trader:
    return sign_up(client, email="asha@example.com", phone="9876543210", client_id="asha")


@pytest.fixture
def last_code(mail_server: MailServer) -> Callable[[str], str]:
    """Wait for the next mail to an address; return the code in it."""

    def read(address: str, count: int = 1) -> str:
        def mails() -> list[Any]:
            return [mail for mail in mail_server.mails if address in mail["To"]]

        eventually(lambda: len(mails()) >= count)
        body = mails()[-1].get_body(("plain",))
        (code,) = set(re.findall(r"\b\d{6}\b", body.get_content()))
        return str(code)

    return read


def sign_in(client: FlaskClient, name: str, password: str = PASSWORD) -> TestResponse:
    field = "email" if "@" in name else "client_id"
    return client.post("/auth/login", json={field: name, "password": password})


def change(trader: Trader, **fields: Any) -> TestResponse:
    return trader.client.patch("/auth/me", json=fields, headers=trader.headers)


def events(trader: Trader) -> list[str]:
    found = [each for each in trader.notifications() if each["type"] == "account_changed"]
    return [each["data"]["change"] for each in found]


def test_users_see_their_account(asha: Trader) -> None:
    shown = asha.get("/auth/me").get_json()
    assert shown.pop("created_at").endswith("Z")
    assert shown == {
        "client_id": "asha",
        "name": shown["name"],
        "email": "asha@example.com",
        "email_confirmed": False,
        "pending_email": None,
        "phone": "+919876543210",
        "phone_confirmed": False,
        "totp_enabled": False,
        "recovery_codes_left": 0,
    }


def test_a_name_is_changed_without_the_password_and_a_phone_with_it(asha: Trader) -> None:
    collection("users").update_one({}, {"$set": {"confirmed_phone": "+919876543210"}})

    assert change(asha, name=" Asha Rao ").get_json()["name"] == "Asha Rao"
    assert_error(change(asha, phone="9876543211"), 400, "password_required")
    wrong = change(asha, phone="9876543211", password="wrong")
    assert_error(wrong, 403, "password_wrong")

    changed = change(asha, phone="9876543211", password=PASSWORD).get_json()
    assert (changed["phone"], changed["phone_confirmed"]) == ("+919876543211", False)
    assert events(asha) == ["phone"]


def test_a_new_email_takes_effect_once_its_code_is_confirmed(
    asha: Trader, client: FlaskClient, last_code: Callable[[str], str]
) -> None:
    pending = change(asha, email="New@Example.com", password=PASSWORD).get_json()
    assert (pending["email"], pending["pending_email"]) == ("asha@example.com", "new@example.com")
    assert sign_in(client, "new@example.com").status_code == 401

    code = last_code("new@example.com")
    assert_error(asha.post("/auth/me/email", {"code": _other(code)}), 409, "code_wrong")
    changed = asha.post("/auth/me/email", {"code": code}).get_json()

    assert (changed["email"], changed["email_confirmed"]) == ("new@example.com", True)
    assert changed["pending_email"] is None
    assert changed["client_id"] == "asha"
    assert sign_in(client, "new@example.com").status_code == 200
    assert sign_in(client, "asha@example.com").status_code == 401
    assert events(asha) == ["email", "email_requested"]
    # Somebody else may have the old address now.
    assert (
        client.post("/auth/register", json=registration(email="asha@example.com")).status_code
        == 201
    )
    assert_error(asha.post("/auth/me/email", {"code": code}), 409, "code_expired")


def test_an_email_that_is_the_client_id_stays_reserved(
    client: FlaskClient, last_code: Callable[[str], str]
) -> None:
    meera = sign_up(client, email="meera@example.com")
    change(meera, email="new@example.com", password=PASSWORD)
    meera.post("/auth/me/email", {"code": last_code("new@example.com")})

    taken = client.post("/auth/register", json=registration(email="meera@example.com"))

    assert_error(taken, 409, "email_taken")
    assert sign_in(client, "meera@example.com").status_code == 200


def test_the_email_of_another_user_is_refused_by_relaxed_rules(asha: Trader, bob: Trader) -> None:
    taken = change(asha, email=bob.client_id.upper(), password=PASSWORD)
    assert_error(taken, 409, "email_taken")


def test_strict_rules_do_not_tell_whose_email_it_is(
    make_app: Callable[..., Flask], variables: dict[str, Any], mail_server: MailServer
) -> None:
    client = make_app(**variables, ACCOUNT_RULES="strict").test_client()
    asha, other = sign_up(client, phone="9876543210"), sign_up(client, phone="9876543211")

    answers = [
        change(asha, email=email, password=PASSWORD).get_json()
        for email in (other.client_id, other.client_id)
    ]

    assert answers[0]["pending_email"] == other.client_id
    assert answers[1]["code"] == "code_sent_already"
    assert [mail["To"] for mail in mail_server.mails] == []
    assert_error(asha.post("/auth/me/email", {"code": "123456"}), 409, "code_wrong")


def test_a_number_is_free_again_once_its_user_has_confirmed_another(asha: Trader) -> None:
    first, second = "+919876543210", "+919876543211"

    def confirm() -> None:
        user = User.find_by_client_id("asha")
        assert user is not None
        User.confirm(user, "sms")

    confirm()
    change(asha, phone=second, password=PASSWORD)
    assert Identity.find_client_id(first) == "asha"
    confirm()

    assert [Identity.find_client_id(number) for number in (first, second)] == [None, "asha"]


def test_a_changed_password_ends_the_other_sessions(asha: Trader, client: FlaskClient) -> None:
    other = sign_in(client, "asha").get_json()["access_token"]
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

    assert_error(
        asha.post("/auth/password", {**body, "current_password": "wrong"}), 403, "password_wrong"
    )
    same = {**body, "new_password": PASSWORD}
    assert_error(asha.post("/auth/password", same), 400, "validation_error")
    assert asha.post("/auth/password", body).status_code == 200

    assert asha.get("/notifications").status_code == 200
    answer = client.get("/notifications", headers={"Authorization": f"Bearer {other}"})
    assert_error(answer, 401, "token_revoked")
    assert sign_in(client, "asha").status_code == 401
    assert sign_in(client, "asha", NEW_PASSWORD).status_code == 200
    assert events(asha) == ["password"]


def test_a_forgotten_password_is_replaced_by_a_code(
    asha: Trader, client: FlaskClient, last_code: Callable[[str], str]
) -> None:
    asked = client.post("/auth/password/forgot", json={"email": "ASHA@example.com"})
    assert asked.status_code == 200
    code = last_code("asha@example.com")
    body = {"email": "asha@example.com", "code": code, "new_password": NEW_PASSWORD}

    wrong = client.post("/auth/password/reset", json={**body, "code": _other(code)})
    assert_error(wrong, 409, "code_wrong")
    assert client.post("/auth/password/reset", json=body).status_code == 200

    assert_error(asha.get("/notifications"), 401, "token_revoked")
    signed_in = sign_in(client, "asha", NEW_PASSWORD).get_json()
    again = client.post("/auth/password/reset", json={**body, "new_password": "third-password"})
    assert_error(again, 409, "code_wrong")
    asha.token = signed_in["access_token"]
    assert asha.get("/auth/me").get_json()["email_confirmed"] is True
    assert events(asha) == ["password_reset"]


def test_a_code_for_a_password_expires_after_ten_minutes_or_five_guesses(
    asha: Trader, client: FlaskClient, last_code: Callable[..., str], clock: ManualClock
) -> None:
    def reset(code: str) -> TestResponse:
        body = {"email": "asha@example.com", "code": code, "new_password": NEW_PASSWORD}
        return client.post("/auth/password/reset", json=body)

    client.post("/auth/password/forgot", json={"email": "asha@example.com"})
    code = last_code("asha@example.com")
    for _ in range(5):
        assert_error(reset(_other(code)), 409, "code_wrong")
    assert_error(reset(code), 409, "code_wrong")

    clock.advance(61)
    client.post("/auth/password/forgot", json={"email": "asha@example.com"})
    code = last_code("asha@example.com", 2)
    clock.advance(601)
    assert_error(reset(code), 409, "code_wrong")
    assert asha.get("/notifications").status_code == 200


def test_no_response_tells_whether_an_account_exists(
    asha: Trader, client: FlaskClient, mail_server: MailServer
) -> None:
    def asked(email: str) -> list[tuple[int, Any]]:
        reset = {"email": email, "code": "123456", "new_password": NEW_PASSWORD}
        answers = [
            client.post("/auth/password/forgot", json={"email": email}),
            client.post("/auth/password/forgot", json={"email": email}),
            client.post("/auth/password/reset", json=reset),
        ]
        return [
            (answer.status_code, {**answer.get_json(), "request_id": None}) for answer in answers
        ]

    assert asked("asha@example.com") == asked("nobody@example.com")
    eventually(lambda: len(mail_server.mails) == 1)


def test_strict_rules_hold_for_a_new_password(
    make_app: Callable[..., Flask], variables: dict[str, Any]
) -> None:
    asha = sign_up(make_app(**variables, ACCOUNT_RULES="strict").test_client(), phone="9876543210")

    body = {"current_password": PASSWORD, "new_password": "password1"}
    details = assert_error(asha.post("/auth/password", body), 400, "validation_error")
    assert list(details) == ["new_password"]


def _other(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"
