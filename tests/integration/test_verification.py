"""Confirmation of addresses by codes, and the messages allowed before and after it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.database import collection
from app.delivery import Outbox, create_senders
from app.models import User
from tests.fakes.smtp import MailServer
from tests.fakes.twilio import Refusal, TwilioServer
from tests.support.live import eventually
from tests.support.market import ManualClock
from tests.support.responses import assert_error
from tests.support.senders import settings_of
from tests.support.users import Trader, registration, sign_up

pytestmark = pytest.mark.needs("openssl")

MakeApp = Callable[..., Flask]
ROUTES = {"email": "/auth/verify/email", "sms": "/auth/verify/phone"}


@pytest.fixture
def variables(mail_server: MailServer, sms_server: TwilioServer) -> dict[str, Any]:
    return {
        **mail_server.environment,
        "SMTP_SERVER": "localhost",
        **sms_server.environment,
        "ACCOUNT_RULES": "strict",
    }


@pytest.fixture
def asha(client: FlaskClient) -> Trader:
    return sign_up(client, email="asha@example.com", phone="9876543210")


@pytest.fixture
def deliver(app: Flask, clock: ManualClock) -> Callable[[], None]:
    """Deliver everything that is due."""

    def run() -> None:
        with app.app_context():
            outbox = Outbox(app, clock, create_senders(settings_of(app)))
        while outbox.run_once():
            pass

    return run


def code_in(text: str) -> str:
    (code,) = set(re.findall(r"\b\d{6}\b", text))
    return str(code)


def last_code(channel: str, mail_server: MailServer, sms_server: TwilioServer) -> str:
    if channel == "sms":
        return code_in(sms_server.messages[-1]["Body"])
    body = mail_server.mails[-1].get_body(("plain",))
    assert body is not None
    return code_in(body.get_content())


def other(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def deliveries(trader: Trader) -> dict[str, tuple[str, str | None]]:
    (newest, *_) = trader.notifications()
    return {
        delivery["channel"]: (delivery["status"], delivery["error"])
        for delivery in newest["deliveries"]
    }


@pytest.mark.parametrize("rules", ["strict", "relaxed"])
@pytest.mark.parametrize("channel", ["email", "sms"])
def test_a_code_confirms_the_address_it_was_sent_to(
    make_app: MakeApp,
    variables: dict[str, Any],
    mail_server: MailServer,
    sms_server: TwilioServer,
    channel: str,
    rules: str,
) -> None:
    client = make_app(**{**variables, "ACCOUNT_RULES": rules}).test_client()
    asha = sign_up(client, email="asha@example.com", phone="9876543210")

    asked = asha.post(ROUTES[channel], {})
    assert asked.status_code == 200, asked.text
    assert asked.get_json()["confirmed"] is False
    assert asked.get_json()["expires_at"]
    assert [len(mail_server.mails), len(sms_server.messages)] == (
        [1, 0] if channel == "email" else [0, 1]
    )
    code = last_code(channel, mail_server, sms_server)
    assert code not in asked.text

    confirmed = asha.post(ROUTES[channel], {"code": f" {code} "})
    assert confirmed.status_code == 200, confirmed.text
    assert confirmed.get_json() == {"message": "Confirmed", "confirmed": True, "expires_at": None}
    user = User.find_by_client_id(asha.client_id)
    assert user is not None
    assert user.is_confirmed(channel)
    again = asha.post(ROUTES[channel], {})
    assert again.get_json()["confirmed"] is True
    assert len(mail_server.mails) + len(sms_server.messages) == 1


def test_the_database_holds_no_code(
    asha: Trader, mail_server: MailServer, sms_server: TwilioServer
) -> None:
    asha.post(ROUTES["email"], {})
    (document,) = collection("codes").find({})
    assert last_code("email", mail_server, sms_server) not in str(document)


def test_five_wrong_codes_invalidate_the_right_one(
    asha: Trader, mail_server: MailServer, sms_server: TwilioServer
) -> None:
    asha.post(ROUTES["email"], {})
    code = last_code("email", mail_server, sms_server)

    for left in (4, 3, 2, 1, 0):
        answer = asha.post(ROUTES["email"], {"code": other(code)})
        assert assert_error(answer, 409, "code_wrong") == {"attempts_left": left}
    assert_error(asha.post(ROUTES["email"], {"code": code}), 409, "code_expired")


def test_a_code_is_valid_for_ten_minutes_and_until_the_next_one(
    asha: Trader, mail_server: MailServer, sms_server: TwilioServer, clock: ManualClock
) -> None:
    assert_error(asha.post(ROUTES["sms"], {"code": "123456"}), 409, "code_expired")
    asha.post(ROUTES["sms"], {})
    first = last_code("sms", mail_server, sms_server)
    clock.advance(60)
    asha.post(ROUTES["sms"], {})
    second = last_code("sms", mail_server, sms_server)
    if first != second:
        assert_error(asha.post(ROUTES["sms"], {"code": first}), 409, "code_wrong")
    clock.advance(10 * 60)
    assert_error(asha.post(ROUTES["sms"], {"code": second}), 409, "code_expired")


def test_a_code_is_valid_for_its_user_and_channel_only(
    client: FlaskClient, asha: Trader, mail_server: MailServer, sms_server: TwilioServer
) -> None:
    other_user = sign_up(client, phone="9876543210")
    asha.post(ROUTES["sms"], {})
    code = last_code("sms", mail_server, sms_server)

    assert_error(asha.post(ROUTES["email"], {"code": code}), 409, "code_expired")
    assert_error(other_user.post(ROUTES["sms"], {"code": code}), 409, "code_expired")
    assert asha.post(ROUTES["sms"], {"code": code}).status_code == 200


@pytest.mark.parametrize(
    "code", ["12345", "1234567", "abcdef", "", 123456, None, {"$gt": ""}, "१२३४५६"]
)
def test_an_invalid_code_is_refused_by_field(asha: Trader, code: Any) -> None:
    answer = asha.post(ROUTES["email"], {"code": code})
    if code is None:
        assert answer.status_code == 200
    else:
        assert set(assert_error(answer, 400, "validation_error")) == {"code"}


def test_a_number_belongs_to_the_first_account_that_confirms_it(
    client: FlaskClient, asha: Trader, mail_server: MailServer, sms_server: TwilioServer
) -> None:
    second = sign_up(client, phone="+91 98765 43210")
    for trader, status in ((asha, 200), (second, 409)):
        trader.post(ROUTES["sms"], {})
        answer = trader.post(ROUTES["sms"], {"code": last_code("sms", mail_server, sms_server)})
        assert answer.status_code == status
    assert_error(answer, 409, "phone_taken")
    user = User.find_by_client_id(second.client_id)
    assert user is not None
    assert not user.is_confirmed("sms")


def test_codes_are_limited_per_minute_per_recipient_and_in_total(
    make_app: MakeApp, variables: dict[str, Any], sms_server: TwilioServer, clock: ManualClock
) -> None:
    app = make_app(**variables, MAX_CODES_PER_RECIPIENT=2, MAX_CODES_PER_DAY=3)
    first, second, third = (sign_up(app.test_client(), phone=phone) for phone in PHONES)

    assert first.post(ROUTES["sms"], {}).status_code == 200
    too_soon = first.post(ROUTES["sms"], {})
    assert_error(too_soon, 429, "code_sent_already")
    assert 0 < int(too_soon.headers["Retry-After"]) <= 61
    # The same number of another account counts as the same recipient.
    assert second.post(ROUTES["sms"], {}).status_code == 200
    clock.advance(61)
    refused = [first.post(ROUTES["sms"], {}), second.post(ROUTES["sms"], {})]
    for answer in refused:
        assert_error(answer, 429, "too_many_codes")
    assert third.post(ROUTES["sms"], {}).status_code == 200
    clock.advance(61)
    assert_error(third.post(ROUTES["sms"], {}), 429, "too_many_codes")
    assert len(sms_server.messages) == 3
    clock.advance(24 * 60 * 60)
    assert first.post(ROUTES["sms"], {}).status_code == 200


PHONES = ("9876543210", "9876543210", "9876543211")


def test_a_code_that_could_not_be_sent_does_not_count(
    asha: Trader, mail_server: MailServer, sms_server: TwilioServer
) -> None:
    mail_server.answer_message = "452 disk full"
    for _ in range(6):
        assert_error(asha.post(ROUTES["email"], {}), 503, "code_not_sent")
    mail_server.answer_message = ""
    assert asha.post(ROUTES["email"], {}).status_code == 200
    sms_server.refusals.append(Refusal(400, 21211))
    assert_error(asha.post(ROUTES["sms"], {}), 409, "code_not_sent")


def test_a_server_that_cannot_send_codes_reports_it(make_app: MakeApp) -> None:
    trader = sign_up(make_app(ACCOUNT_RULES="strict").test_client())
    for route in ROUTES.values():
        assert_error(trader.post(route, {}), 409, "channel_not_configured")


def test_strict_rules_send_nothing_to_unconfirmed_addresses(
    asha: Trader, mail_server: MailServer, sms_server: TwilioServer, deliver: Callable[[], None]
) -> None:
    asha.open_portfolio()
    asha.create_trade()
    asha.post("/notifications", {"event": "spam", "message": "Buy at http://evil.example now"})
    deliver()

    assert (mail_server.mails, sms_server.messages) == ([], [])
    assert deliveries(asha) == {
        "email": ("recorded", "not confirmed: POST /auth/verify/email"),
        "sms": ("recorded", "not confirmed: POST /auth/verify/phone"),
    }


@pytest.mark.parametrize("channel", ["email", "sms"])
def test_only_confirmed_addresses_get_messages(
    asha: Trader,
    mail_server: MailServer,
    sms_server: TwilioServer,
    deliver: Callable[[], None],
    channel: str,
) -> None:
    asha.post(ROUTES[channel], {})
    asha.post(ROUTES[channel], {"code": last_code(channel, mail_server, sms_server)})
    asha.post("/notifications", {"event": "hello", "message": "It works"})
    deliver()

    statuses = {name: status for name, (status, _) in deliveries(asha).items()}
    assert statuses == {"email": "recorded", "sms": "recorded", channel: "sent"}


def test_relaxed_rules_send_immediately(
    make_app: MakeApp,
    variables: dict[str, Any],
    mail_server: MailServer,
    sms_server: TwilioServer,
    clock: ManualClock,
) -> None:
    app = make_app(**{**variables, "ACCOUNT_RULES": "relaxed"})
    trader = sign_up(app.test_client(), phone="1234567890")
    trader.post("/notifications", {"event": "hello", "message": "It works"})
    Outbox(app, clock, create_senders(settings_of(app))).run_once()

    assert {name: status for name, (status, _) in deliveries(trader).items()} == {
        "email": "sent",
        "sms": "sent",
    }
    assert (len(mail_server.mails), len(sms_server.messages)) == (1, 1)


def test_the_daily_limits_of_recipient_and_server_hold(
    make_app: MakeApp,
    variables: dict[str, Any],
    mail_server: MailServer,
    sms_server: TwilioServer,
    clock: ManualClock,
) -> None:
    caps = {"MAX_EMAILS_PER_RECIPIENT": 2, "MAX_SMS_PER_RECIPIENT": 9, "MAX_SMS_PER_DAY": 3}
    app = make_app(**{**variables, **caps, "ACCOUNT_RULES": "relaxed"})
    traders = [sign_up(app.test_client()) for _ in range(2)]
    outbox = Outbox(app, clock, create_senders(settings_of(app)))

    def hello() -> None:
        for trader in traders:
            trader.post("/notifications", {"event": "hello", "message": "again"})
            outbox.run_once()

    for _ in range(3):
        hello()
    assert len(mail_server.mails) == 4
    assert len(sms_server.messages) == 3
    assert deliveries(traders[0]) == {
        "email": ("skipped", "the recipient has had 2 messages by email today"),
        "sms": ("skipped", "the server has sent 3 messages by sms today"),
    }
    clock.advance(24 * 60 * 60)
    hello()
    assert len(mail_server.mails) == 6


def test_an_unsent_message_does_not_count_for_a_limit(
    make_app: MakeApp, variables: dict[str, Any], mail_server: MailServer, clock: ManualClock
) -> None:
    app = make_app(**{**variables, "ACCOUNT_RULES": "relaxed", "MAX_EMAILS_PER_RECIPIENT": 1})
    trader = sign_up(app.test_client())
    outbox = Outbox(app, clock, create_senders(settings_of(app)))
    mail_server.answer_message = "452 disk full"
    trader.post("/notifications", {"event": "hello", "message": "again"})
    outbox.run_once()
    mail_server.answer_message = ""
    clock.advance(60)
    outbox.run_once()

    assert deliveries(trader)["email"][0] == "sent"


def test_registering_a_taken_address_looks_the_same_and_notifies_its_owner(
    client: FlaskClient,
    asha: Trader,
    mail_server: MailServer,
    sms_server: TwilioServer,
    deliver: Callable[[], None],
) -> None:
    client.post("/auth/register", json=registration(email="Asha@example.com"))
    eventually(lambda: asha.notifications())
    deliver()
    assert mail_server.mails == []
    asha.post(ROUTES["email"], {})
    asha.post(ROUTES["email"], {"code": last_code("email", mail_server, sms_server)})
    free = client.post("/auth/register", json=registration(email="free@example.com"))
    taken = [
        client.post("/auth/register", json=registration(email="Asha@example.com")) for _ in range(3)
    ]

    for answer in taken:
        assert answer.status_code == free.status_code == 201
        assert answer.get_json() == {**free.get_json(), "client_id": "asha@example.com"}
        assert sorted(answer.headers.keys()) == sorted(free.headers.keys())
    eventually(lambda: len(asha.notifications()) == 2)
    deliver()
    assert {notification["type"] for notification in asha.notifications()} == {
        "registration_attempted"
    }
    assert len(asha.notifications()) == 2
    assert mail_server.recipients == ["asha@example.com"] * 2
    assert collection("users").count_documents({}) == 2


def test_a_taken_client_id_is_reported_for_any_email(client: FlaskClient, asha: Trader) -> None:
    sign_up(client, client_id="desk")
    for email in ("asha@example.com", "free@example.com"):
        body = registration(email=email, client_id="DESK")
        assert_error(client.post("/auth/register", json=body), 409, "client_id_taken")
    taken = client.post("/auth/register", json=registration(email=asha.client_id, client_id="new"))
    assert taken.get_json()["client_id"] == "new"
    assert User.find_by_client_id("new") is None


def test_accounts_of_earlier_versions_confirm_in_the_same_way(
    asha: Trader, mail_server: MailServer, sms_server: TwilioServer
) -> None:
    fields = {"confirmed_email": "", "confirmed_phone": ""}
    collection("users").update_one({"client_id": asha.client_id}, {"$unset": fields})
    asha.post(ROUTES["sms"], {})
    confirmed = asha.post(ROUTES["sms"], {"code": last_code("sms", mail_server, sms_server)})
    assert confirmed.get_json()["confirmed"] is True


def test_a_number_in_a_disallowed_country_gets_no_code(
    asha: Trader, sms_server: TwilioServer
) -> None:
    collection("users").update_one(
        {"client_id": asha.client_id}, {"$set": {"phone": "+12025550123"}}
    )
    assert_error(asha.post(ROUTES["sms"], {}), 409, "phone_not_allowed")
    assert sms_server.messages == []
