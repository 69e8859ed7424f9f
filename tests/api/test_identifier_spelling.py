"""One user, however the email address, client_id or password is spelled."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import check_password_hash, generate_password_hash

from app.database import collection
from app.domain.contact import identity_key
from app.models import User
from tests.support.responses import assert_error
from tests.support.server import CHEAP_HASH
from tests.support.users import PASSWORD, Trader, registration, sign_up

REGISTERED = "josé@bücher.example"
SPELLINGS = [
    "josé@xn--bcher-kva.example",
    unicodedata.normalize("NFD", "JOSÉ@BÜCHER.EXAMPLE"),
    "\uff4a\uff4f\uff53é@\uff42ücher.example",
    "José\uff20XN--BCHER-KVA\u3002EXAMPLE",
    " josé@bücher.example ",
]


@pytest.fixture
def jose(client: FlaskClient) -> Trader:
    trader = sign_up(client, email=REGISTERED)
    trader.open_portfolio()
    return trader


def login(client: FlaskClient, **body: Any) -> Any:
    return client.post("/auth/login", json={"password": PASSWORD, **body})


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_an_email_signs_in_and_is_the_users_in_a_path(
    client: FlaskClient, jose: Trader, spelling: str
) -> None:
    for field in ("email", "client_id"):
        signed_in = login(client, **{field: spelling})
        assert signed_in.status_code == 200, signed_in.text
        assert signed_in.get_json()["client_id"] == REGISTERED
    portfolio = jose.get(f"/portfolio/{spelling}")
    assert portfolio.get_json()["user_id"] == REGISTERED
    assert jose.get(f"/trades/{spelling}").status_code == 200
    assert jose.get(f"/trades/performance/{spelling}").status_code == 200
    assert jose.post(f"/trades/exit-all/{spelling}").status_code == 200


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_an_email_is_taken_by_its_first_user(
    client: FlaskClient, jose: Trader, spelling: str
) -> None:
    again = client.post("/auth/register", json=registration(email=spelling))
    assert_error(again, 409, "email_taken")
    as_other = registration(email=spelling, client_id="other")
    assert_error(client.post("/auth/register", json=as_other), 409, "email_taken")
    assert User.find_by_client_id("other") is None


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_client_id_is_normalized_at_registration(client: FlaskClient, spelling: str) -> None:
    answer = client.post("/auth/register", json=registration(email=spelling))
    assert answer.get_json()["client_id"] == REGISTERED


def test_a_retry_may_spell_the_user_in_another_way(jose: Trader) -> None:
    jose.create_trade()
    headers = {**jose.headers, "Idempotency-Key": "once"}
    answers = [
        jose.client.post(f"/trades/exit-all/{spelling}", headers=headers)
        for spelling in (REGISTERED, *SPELLINGS)
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.get_json()["count"] for answer in answers] == [1] * len(answers)


def test_capitals_without_a_small_letter_of_their_own_are_the_same_user(
    client: FlaskClient,
) -> None:
    trader = sign_up(client, email="groß@example.com")
    assert login(client, email="GROSS@EXAMPLE.COM").get_json()["client_id"] == trader.client_id


def test_similar_addresses_of_different_people_stay_different(client: FlaskClient) -> None:
    trader = sign_up(client, email="a.b@strasse.example")
    for other in ("ab@strasse.example", "a.b@straße.example", "a.b+1@strasse.example"):
        assert_error(trader.get(f"/portfolio/{other}"), 403, "forbidden")
        assert_error(login(client, email=other), 401, "invalid_credentials")
        assert client.post("/auth/register", json=registration(email=other)).status_code == 201


def test_a_client_id_is_one_users_in_every_case(client: FlaskClient) -> None:
    trader = sign_up(client, client_id="Trader1")
    trader.open_portfolio()

    for spelling in ("trader1", "TRADER1", "\uff54rader1"):
        assert login(client, client_id=spelling).get_json()["client_id"] == "Trader1"
        assert trader.get(f"/portfolio/{spelling}").get_json()["user_id"] == "Trader1"
    for spelling in ("trader1", "TRADER1"):
        again = client.post("/auth/register", json=registration(client_id=spelling))
        assert_error(again, 409, "client_id_taken")


def test_users_of_earlier_versions_that_differ_in_case_only_keep_their_own(
    client: FlaskClient,
) -> None:
    first, second = sign_up(client, client_id="Desk"), sign_up(client, client_id="other")
    for trader in (first, second):
        trader.open_portfolio()
    # As it was before spellings were reserved.
    for name in ("users", "portfolios", "inboxes"):
        key = {"users": "client_id", "portfolios": "user_id", "inboxes": "_id"}[name]
        for document in list(collection(name).find({key: "other"})):
            collection(name).delete_one({"_id": document["_id"]})
            collection(name).insert_one({**document, key: "desk"})

    signed_in = login(client, client_id="desk").get_json()
    assert signed_in["client_id"] == "desk"
    younger = Trader(client, "desk", signed_in["access_token"])
    assert younger.get("/portfolio/Desk").get_json()["user_id"] == "desk"
    assert first.get("/portfolio/desk").get_json()["user_id"] == "Desk"
    assert login(client, client_id="Desk").get_json()["client_id"] == "Desk"


def test_users_of_earlier_versions_have_their_spellings_reserved_at_the_next_start(
    client: FlaskClient, jose: Trader, make_app: Callable[..., Flask]
) -> None:
    collection("identities").delete_many({})
    collection("schema").update_one({"_id": "version"}, {"$set": {"number": 2}})

    client = make_app().test_client()

    assert login(client, email=SPELLINGS[0]).get_json()["client_id"] == REGISTERED
    again = client.post("/auth/register", json=registration(email=SPELLINGS[1]))
    assert_error(again, 409, "email_taken")


def test_a_password_signs_in_however_the_keyboard_composes_it(client: FlaskClient) -> None:
    password = "caf\u00e9-\ufb01ne-\uff11\uff12"
    body = registration(password=password)
    client.post("/auth/register", json=body)

    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        typed = unicodedata.normalize(form, password)
        assert login(client, email=body["email"], password=typed).status_code == 200, form
    wrong = login(client, email=body["email"], password="cafe-fine-12")
    assert_error(wrong, 401, "invalid_credentials")


def test_a_hash_of_an_earlier_version_signs_in_and_is_renewed(client: FlaskClient) -> None:
    body = registration(email="old@example.com")
    client.post("/auth/register", json=body)
    typed = unicodedata.normalize("NFD", "pässwörter")
    old = generate_password_hash(typed, "scrypt:2048:8:1")
    collection("users").update_one({"email": body["email"]}, {"$set": {"password_hash": old}})

    for _ in range(2):
        assert login(client, email=body["email"], password=typed).status_code == 200
    user = User.find_by_name(body["email"])
    assert user is not None
    assert user.password_hash.startswith(f"{CHEAP_HASH}$")
    assert check_password_hash(user.password_hash, "pässwörter")
    assert login(client, email=body["email"], password="pässwörter").status_code == 200


def test_a_wrong_password_renews_nothing(client: FlaskClient) -> None:
    body = registration()
    client.post("/auth/register", json=body)
    old = generate_password_hash(PASSWORD, "scrypt:2048:8:1")
    collection("users").update_one({"email": body["email"]}, {"$set": {"password_hash": old}})

    assert login(client, email=body["email"], password="wrong-password").status_code == 401

    user = User.find_by_name(body["email"])
    assert user is not None
    assert user.password_hash == old


def test_the_key_of_a_text_that_is_no_name_is_a_key_all_the_same() -> None:
    for text in ("", "@", "a@@b", "a@xn--zz--.in", "a@[1.2.3.4]", "\x00", "x" * 3000, "@" * 300):
        assert identity_key(text) == identity_key(identity_key(text))
