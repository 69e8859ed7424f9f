"""Unsubscribe links: from a mail with the link to the next mail that is not sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.delivery import Outbox, create_senders
from tests.fakes.smtp import MailServer
from tests.support.market import ManualClock
from tests.support.responses import assert_error
from tests.support.senders import settings_of
from tests.support.users import Trader, sign_up

pytestmark = pytest.mark.needs("openssl")

MakeApp = Callable[..., Flask]
PUBLIC_URL = "https://desk.example"


@pytest.fixture
def variables(mail_server: MailServer) -> dict[str, Any]:
    return {**mail_server.environment, "SMTP_SERVER": "localhost", "PUBLIC_URL": f"{PUBLIC_URL}/"}


@pytest.fixture
def notify(app: Flask, clock: ManualClock) -> Callable[[Trader], str]:
    """Send a trader an event and deliver it; return the status of its email."""

    def run(trader: Trader) -> str:
        trader.post("/notifications", {"event": "hello", "message": "There"})
        Outbox(app, clock, create_senders(settings_of(app))).run_once()
        (newest, *_) = trader.notifications()
        (status,) = (
            delivery["status"]
            for delivery in newest["deliveries"]
            if delivery["channel"] == "email"
        )
        return str(status)

    return run


def link_in(mail: Any) -> str:
    link = mail["List-Unsubscribe"].strip("<>")
    assert link.startswith(f"{PUBLIC_URL}/notifications/unsubscribe/")
    assert link in mail.get_body(("plain",)).get_content()
    assert link in mail.get_body(("html",)).get_content()
    return str(urlsplit(link).path)


@pytest.mark.parametrize("by", ["opening it", "the mail program"])
def test_a_link_in_a_mail_stops_the_mails_of_its_recipient_only(
    client: FlaskClient,
    mail_server: MailServer,
    notify: Callable[[Trader], str],
    by: str,
) -> None:
    asha, bina = sign_up(client), sign_up(client)
    assert notify(asha) == notify(bina) == "sent"
    assert mail_server.mails[0]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = link_in(mail_server.mails[0])

    # The request has no token; mail programs send a form.
    for _ in range(2):
        answer = (
            client.get(link)
            if by == "opening it"
            else client.post(link, data={"List-Unsubscribe": "One-Click"})
        )
        assert answer.status_code == 200, answer.text
    assert (notify(asha), notify(bina)) == ("skipped", "sent")
    assert asha.get("/notifications/preferences").get_json()["email"] is False

    asha.put("/notifications/preferences", json={"email": True, "sms": True, "events": None})
    assert notify(asha) == "sent"


def test_a_changed_or_invented_link_stops_nothing(
    client: FlaskClient, mail_server: MailServer, notify: Callable[[Trader], str]
) -> None:
    asha = sign_up(client)
    notify(asha)
    link = link_in(mail_server.mails[0])
    folder, _, token = link.rpartition("/")
    user, _, signature = token.partition(".")
    other = f"{int(user, 16) + 1:024x}"
    for wrong in (f"{other}.{signature}", user, f"{user}.", f"{token}x", "none", "%00", "é.é"):
        for method in ("GET", "POST"):
            answer = client.open(f"{folder}/{wrong}", method=method)
            assert_error(answer, 404, "link_unknown")
    assert notify(asha) == "sent"


def test_without_a_public_address_there_is_no_link(
    make_app: MakeApp, variables: dict[str, Any], mail_server: MailServer, clock: ManualClock
) -> None:
    app = make_app(**{**variables, "PUBLIC_URL": ""})
    trader = sign_up(app.test_client())
    trader.post("/notifications", {"event": "hello", "message": "There"})
    Outbox(app, clock, create_senders(settings_of(app))).run_once()

    (mail,) = mail_server.mails
    assert mail["List-Unsubscribe"] is None
    assert "http" not in mail.as_string()
