"""Senders against servers that speak SMTP and Twilio's API for real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bson import ObjectId

from app.delivery.senders import (
    LONGEST_SMS,
    DeliveryError,
    EmailSender,
    Message,
    RecordingSender,
    SmsSender,
)
from app.models import User
from config import Settings
from tests.support.mail import PASSWORD, USERNAME, PostOffice, make_certificate
from tests.support.quotes import NOON
from tests.support.server import free_port
from tests.support.telephone import ACCOUNT, HANG_UP, TOKEN, TelephoneExchange

ALICE = User(
    id=ObjectId(),
    client_id="alice",
    name="Alice Ünal",
    email="alice@example.com",
    phone="+919876543210",
    password_hash="-",
    created_at=NOON,
    event_seq=0,
    unread_count=0,
)
HELLO = Message(subject="Paper trading: trade created", text="Bought 1 ^NSEI at ₹25,000.00.")

MakeEmail = Callable[..., EmailSender]
needs_openssl = pytest.mark.needs("openssl")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def post_office(certificate: tuple[Path, Path]) -> Iterator[PostOffice]:
    with PostOffice(*certificate).open() as office:
        yield office


@pytest.fixture
def make_email(
    post_office: PostOffice,
    certificate: tuple[Path, Path],
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> MakeEmail:
    """Make senders that trust the post office's certificate, and it alone."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))

    def make(**variables: object) -> EmailSender:
        return EmailSender(
            make_settings(
                **{
                    "SMTP_SERVER": "localhost",
                    "SMTP_PORT": post_office.port,
                    "SMTP_USERNAME": USERNAME,
                    "SMTP_PASSWORD": PASSWORD,
                    **variables,
                }
            )
        )

    return make


def failure(sender: EmailSender | SmsSender) -> DeliveryError:
    with pytest.raises(DeliveryError) as error:
        sender.send(ALICE, HELLO)
    for secret in (PASSWORD, TOKEN):
        assert secret not in str(error.value)
    return error.value


@needs_openssl
def test_a_mail_arrives_over_tls_with_its_words(
    make_email: MakeEmail, post_office: PostOffice
) -> None:
    make_email().send(ALICE, HELLO)

    (mail,) = post_office.mails
    assert post_office.recipients == ["alice@example.com"]
    assert (mail["To"], mail["From"]) == ("alice@example.com", USERNAME)
    assert mail["Subject"] == "Paper trading: trade created"
    assert mail["Date"]
    assert mail["Message-ID"].endswith("@example.com>")
    assert mail.get_content_type() == "text/plain"
    text = mail.get_content().replace("\r\n", "\n")
    assert text == f"Hello Alice Ünal,\n\n{HELLO.text}\n"


@needs_openssl
def test_a_mail_is_from_the_address_that_was_configured(
    make_email: MakeEmail, post_office: PostOffice
) -> None:
    make_email(SMTP_FROM="Paper Desk <no-reply@desk.example>").send(ALICE, HELLO)

    assert post_office.mails[0]["From"] == "Paper Desk <no-reply@desk.example>"


@needs_openssl
def test_a_refused_login_is_tried_again_later_and_tells_no_password(
    make_email: MakeEmail, post_office: PostOffice
) -> None:
    error = failure(make_email(SMTP_PASSWORD="wrong"))

    assert str(error) == "SMTPAuthenticationError"
    assert not error.permanent
    assert post_office.mails == []


@pytest.mark.parametrize(
    ("answer", "permanent"), [("550 no such user", True), ("451 come back later", False)]
)
@needs_openssl
def test_a_refused_recipient_is_given_up_where_the_server_says_so(
    make_email: MakeEmail, post_office: PostOffice, answer: str, permanent: bool
) -> None:
    post_office.refused[ALICE.email] = answer

    error = failure(make_email())

    assert str(error) == f"recipient refused ({answer[:3]})"
    assert error.permanent is permanent


@needs_openssl
def test_a_mail_server_that_is_away_is_tried_again_later(make_email: MakeEmail) -> None:
    error = failure(make_email(SMTP_PORT=free_port()))

    assert str(error) == "ConnectionRefusedError"
    assert not error.permanent


@needs_openssl
def test_no_password_is_sent_to_a_server_that_cannot_prove_who_it_is(
    make_email: MakeEmail,
    post_office: PostOffice,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    stranger, _ = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(stranger))

    error = failure(make_email())

    assert str(error) == "SSLCertVerificationError"
    assert post_office.mails == []


@pytest.fixture
def exchange() -> TelephoneExchange:
    return TelephoneExchange()


@pytest.fixture
def sms(exchange: TelephoneExchange, make_settings: Callable[..., Settings]) -> Iterator[SmsSender]:
    with exchange.open() as address:
        yield SmsSender(
            make_settings(
                TWILIO_ACCOUNT_SID=ACCOUNT,
                TWILIO_AUTH_TOKEN=TOKEN,
                TWILIO_PHONE_NUMBER="+15550100",
                TWILIO_ROOT_URL=f"{address}/",
            )
        )


def test_a_text_message_arrives_at_its_number(sms: SmsSender, exchange: TelephoneExchange) -> None:
    sms.send(ALICE, HELLO)

    assert exchange.paths == [f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"]
    assert exchange.messages == [{"To": ALICE.phone, "From": "+15550100", "Body": HELLO.text}]
    assert exchange.credentials == [f"Basic {ACCOUNT}:{TOKEN}"]


def test_a_long_text_message_is_cut_to_what_is_taken(
    sms: SmsSender, exchange: TelephoneExchange
) -> None:
    sms.send(ALICE, Message("Subject", "x" * 5_000))

    assert len(exchange.messages[0]["Body"]) == LONGEST_SMS


@pytest.mark.parametrize(
    ("status", "permanent"), [(400, True), (401, True), (408, False), (429, False), (500, False)]
)
def test_a_refused_text_message_is_given_up_only_where_trying_again_is_no_use(
    sms: SmsSender, exchange: TelephoneExchange, status: int, permanent: bool
) -> None:
    exchange.status = status

    error = failure(sms)

    assert str(error) == f"Twilio answered {status} (error 21211)"
    assert error.permanent is permanent


def test_a_broken_connection_is_tried_again_later(
    sms: SmsSender, exchange: TelephoneExchange
) -> None:
    exchange.status = HANG_UP

    error = failure(sms)

    assert str(error) == "ConnectionError"
    assert not error.permanent


def test_a_recorded_message_is_a_line_in_the_log_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender = RecordingSender("sms")

    with caplog.at_level("INFO", logger="paper_trading"):
        sender.send(ALICE, HELLO)

    (record,) = caplog.records
    assert record.getMessage() == "sms recorded, not sent"
    assert vars(record)["fields"] == {"user": "alice", "subject": repr(HELLO.subject)}
    assert HELLO.text not in caplog.text
