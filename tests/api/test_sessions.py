"""Sessions: renewed by refresh tokens, listed, and ended by their user."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.database import collection
from app.events import sessions_ended
from app.models import Session
from app.web.auth import issue_token
from tests.support.live import eventually
from tests.support.market import ManualClock
from tests.support.responses import assert_error, assert_shape, text, whole
from tests.support.users import PASSWORD, Trader, registration

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
Body = dict[str, Any]


class Account:
    """A registered user who signs in on several devices."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.email = registration()["email"]
        client.post("/auth/register", json=registration(email=self.email))

    def sign_in(self, **kwargs: Any) -> Body:
        body = {"email": self.email, "password": PASSWORD}
        tokens: Body = self.client.post("/auth/login", json=body, **kwargs).get_json()
        return tokens

    def call(self, tokens: Body, method: str, path: str) -> TestResponse:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return self.client.open(path, method=method, headers=headers)

    def sessions(self, tokens: Body) -> list[Body]:
        listed: list[Body] = self.call(tokens, "GET", "/auth/sessions").get_json()["sessions"]
        return listed


@pytest.fixture
def account(client: FlaskClient) -> Account:
    return Account(client)


def refresh(client: FlaskClient, token: str) -> TestResponse:
    return client.post("/auth/refresh", json={"refresh_token": token})


def test_signing_in_gives_an_access_and_a_refresh_token(account: Account) -> None:
    tokens = account.sign_in()

    assert_shape(
        tokens,
        {"access_token": text, "refresh_token": text, "client_id": text, "expires_in": whole},
    )
    assert tokens["expires_in"] == 24 * 60 * 60


def test_a_refresh_token_is_exchanged_for_new_tokens_of_the_same_session(
    account: Account, client: FlaskClient
) -> None:
    first = account.sign_in()

    second = refresh(client, first["refresh_token"]).get_json()

    assert second["refresh_token"] != first["refresh_token"]
    assert second["client_id"] == account.email
    assert len(account.sessions(second)) == 1
    # The older access token is still of the session.
    assert account.call(first, "GET", "/auth/sessions").status_code == 200
    assert refresh(client, second["refresh_token"]).status_code == 200


def test_two_tabs_that_refresh_at_once_get_the_same_next_token(
    account: Account, client: FlaskClient, clock: ManualClock
) -> None:
    token = account.sign_in()["refresh_token"]

    one = refresh(client, token).get_json()
    clock.advance(9)
    other = refresh(client, token).get_json()

    assert one["refresh_token"] == other["refresh_token"]
    assert refresh(client, one["refresh_token"]).status_code == 200


def test_a_refresh_token_that_is_used_again_later_ends_the_session(
    account: Account, client: FlaskClient, clock: ManualClock
) -> None:
    stolen = account.sign_in()
    current = refresh(client, stolen["refresh_token"]).get_json()
    other = account.sign_in()
    clock.advance(11)

    assert_error(refresh(client, stolen["refresh_token"]), 401, "token_revoked")

    assert_error(refresh(client, current["refresh_token"]), 401, "token_revoked")
    assert_error(account.call(current, "GET", "/notifications"), 401, "token_revoked")
    assert account.call(other, "GET", "/notifications").status_code == 200


def test_a_refresh_token_before_the_last_two_ends_the_session_at_once(
    account: Account, client: FlaskClient
) -> None:
    first = account.sign_in()["refresh_token"]
    second = refresh(client, first).get_json()["refresh_token"]
    third = refresh(client, second).get_json()["refresh_token"]

    assert_error(refresh(client, first), 401, "token_revoked")
    assert_error(refresh(client, third), 401, "token_revoked")


def test_a_made_up_refresh_token_is_refused_and_ends_nothing(
    account: Account, client: FlaskClient
) -> None:
    tokens = account.sign_in()
    session_id = tokens["refresh_token"].partition(".")[0]

    for wrong in ("nothing", f"{session_id}.", f"{session_id}.guess", tokens["access_token"]):
        answer = refresh(client, wrong)
        assert answer.status_code == 401
        assert answer.get_json()["code"] in ("token_invalid", "token_revoked")
    assert refresh(client, tokens["refresh_token"]).status_code == 200


def test_a_refresh_token_expires_when_it_is_not_used_for_30_days(
    account: Account, client: FlaskClient, clock: ManualClock
) -> None:
    tokens = account.sign_in()
    clock.advance(timedelta(days=29).total_seconds())
    tokens = refresh(client, tokens["refresh_token"]).get_json()
    clock.advance(timedelta(days=30).total_seconds())

    assert_error(refresh(client, tokens["refresh_token"]), 401, "token_expired")
    assert account.sessions(account.sign_in())[0]["is_current"]


def test_a_session_ends_after_180_days_however_often_it_is_refreshed(
    account: Account, client: FlaskClient, clock: ManualClock
) -> None:
    tokens = account.sign_in()
    for _ in range(7):
        clock.advance(timedelta(days=25).total_seconds())
        tokens = refresh(client, tokens["refresh_token"]).get_json()
    clock.advance(timedelta(days=6).total_seconds())

    assert_error(refresh(client, tokens["refresh_token"]), 401, "token_expired")


def test_the_database_holds_no_refresh_token(account: Account, client: FlaskClient) -> None:
    tokens = account.sign_in()
    tokens = refresh(client, tokens["refresh_token"]).get_json()

    stored = str(collection("sessions").find_one({}))
    assert tokens["refresh_token"].partition(".")[2] not in stored


def test_signing_out_ends_the_session_and_no_other(account: Account, client: FlaskClient) -> None:
    here, there = account.sign_in(), account.sign_in()

    assert account.call(here, "POST", "/auth/logout").status_code == 200

    assert_error(account.call(here, "GET", "/notifications"), 401, "token_revoked")
    assert_error(refresh(client, here["refresh_token"]), 401, "token_revoked")
    assert account.call(there, "GET", "/notifications").status_code == 200


def test_signing_out_everywhere_ends_all_sessions_of_the_user(
    account: Account, carol: Trader
) -> None:
    here, there = account.sign_in(), account.sign_in()

    assert account.call(here, "POST", "/auth/logout-all").status_code == 200

    for tokens in (here, there):
        assert_error(account.call(tokens, "GET", "/notifications"), 401, "token_revoked")
    assert carol.get("/notifications").status_code == 200


def test_sessions_are_listed_with_device_network_and_last_use(
    account: Account, clock: ManualClock
) -> None:
    account.sign_in(headers={"User-Agent": FIREFOX}, environ_base={"REMOTE_ADDR": "203.0.113.77"})
    clock.advance(90)
    here = account.sign_in(headers={"User-Agent": "curl/8.5.0"})

    current, other = account.sessions(here)

    assert (current["device"], current["is_current"]) == ("curl 8.5.0", True)
    assert (other["device"], other["is_current"]) == ("Firefox on Linux", False)
    assert other["address"] == "203.0.113.0/24"
    assert other["last_used_at"] < current["last_used_at"]
    assert set(other) == {
        *("id", "device", "address", "created_at", "last_used_at", "expires_at", "is_current")
    }


def test_the_last_use_is_noted_once_a_minute(
    account: Account, client: FlaskClient, app: Flask, clock: ManualClock
) -> None:
    tokens = account.sign_in()
    started = account.sessions(tokens)[0]["last_used_at"]

    def seen_after(seconds: float) -> str:
        clock.advance(seconds)
        # As after the time for which a check is remembered.
        session_id = tokens["refresh_token"].partition(".")[0]
        sessions_ended.send(app, session_ids=[session_id])
        return str(account.sessions(tokens)[0]["last_used_at"])

    assert seen_after(59) == started
    assert seen_after(1) > started


def test_a_user_ends_one_of_their_sessions_and_none_of_another_user(
    account: Account, carol: Trader
) -> None:
    here, there = account.sign_in(), account.sign_in()
    session_id = there["refresh_token"].partition(".")[0]

    foreign = carol.client.delete(f"/auth/sessions/{session_id}", headers=carol.headers)
    assert_error(foreign, 404, "session_not_found")
    assert account.call(here, "DELETE", f"/auth/sessions/{session_id}").status_code == 200

    assert_error(account.call(there, "GET", "/notifications"), 401, "token_revoked")
    again = account.call(here, "DELETE", f"/auth/sessions/{session_id}")
    assert_error(again, 404, "session_not_found")
    assert [each["is_current"] for each in account.sessions(here)] == [True]


def test_a_session_that_another_process_ended_is_refused_within_a_second(
    account: Account, clock: ManualClock
) -> None:
    tokens = account.sign_in()
    assert account.call(tokens, "GET", "/notifications").status_code == 200
    collection("sessions").update_many({}, {"$set": {"ended_at": clock.now()}})

    eventually(lambda: account.call(tokens, "GET", "/notifications").status_code == 401)
    assert_error(account.call(tokens, "GET", "/notifications"), 401, "token_revoked")


def test_requests_read_a_session_once_a_second_at_most(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = account.sign_in()
    reads: list[str] = []
    read = Session.last_use

    def count(session_id: str) -> datetime | None:
        reads.append(session_id)
        return read(session_id)

    monkeypatch.setattr(Session, "last_use", count)
    for _ in range(20):
        account.call(tokens, "GET", "/notifications")

    assert 1 <= len(reads) < 20


def test_tokens_of_earlier_versions_work_until_their_user_signs_out(
    app: Flask, account: Account
) -> None:
    with app.app_context():
        old = [{"access_token": issue_token(account.email)} for _ in range(2)]
    here = account.sign_in()
    assert [account.call(each, "GET", "/notifications").status_code for each in old] == [200, 200]

    assert account.call(old[0], "POST", "/auth/logout").status_code == 200

    for each in old:
        assert_error(account.call(each, "GET", "/notifications"), 401, "token_revoked")
    assert account.call(here, "GET", "/notifications").status_code == 200


def test_public_routes_take_a_revoked_token_for_none(account: Account) -> None:
    tokens = account.sign_in()
    account.call(tokens, "POST", "/auth/logout")
    assert account.call(tokens, "GET", "/market/live/NIFTY").status_code == 200
