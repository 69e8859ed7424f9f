"""Email against a server that speaks SMTP, TLS and AUTH for real."""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.delivery.email import CONNECT_TIMEOUT_SECONDS, EmailSender, explain, login_password
from app.delivery.senders import DeliveryError, RecordingSender
from config import Settings
from tests.fakes.smtp import PASSWORD, USERNAME, MailServer, make_certificate
from tests.support.market import ManualClock
from tests.support.messages import ALICE, saying
from tests.support.server import free_port

pytestmark = pytest.mark.needs("openssl")

HELLO = saying("Bought 1 ^NSEI at ₹25,000.00.")
MakeSender = Callable[..., EmailSender]
Certificate = tuple[Path, Path]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def mail_server(certificate: Certificate) -> Iterator[MailServer]:
    with MailServer(*certificate).open() as server:
        yield server


@pytest.fixture
def make_sender(
    certificate: Certificate,
    make_settings: Callable[..., Settings],
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> MakeSender:
    """Return a factory of senders that trust only the server's certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))

    def make(
        server: MailServer, *, tls: bool = False, seconds: float = 5, **variables: object
    ) -> EmailSender:
        settings = make_settings(
            **{
                "SMTP_SERVER": "localhost",
                "SMTP_PORT": server.port,
                "SMTP_USERNAME": USERNAME,
                "SMTP_PASSWORD": PASSWORD,
                **variables,
            }
        )
        # Tests cannot listen on 465, the port of TLS from the start.
        tls_port = settings.smtp_port if tls else 465
        return EmailSender(settings, clock=clock, tls_port=tls_port, seconds=seconds)

    return make


def failure(sender: EmailSender) -> DeliveryError:
    with pytest.raises(DeliveryError) as error:
        sender.send(ALICE, HELLO)
    assert PASSWORD not in f"{error.value} {error.value.remedy}"
    return error.value


def parts(mail: EmailMessage) -> dict[str, str]:
    return {
        each.get_content_type(): each.get_content().replace("\r\n", "\n")
        for each in mail.iter_parts()
    }


@pytest.mark.parametrize("implicit_tls", [False, True], ids=["STARTTLS", "TLS from the start"])
def test_an_email_arrives_by_either_kind_of_tls_as_text_and_html(
    make_sender: MakeSender, certificate: Certificate, implicit_tls: bool
) -> None:
    with MailServer(*certificate, implicit_tls=implicit_tls).open() as server:
        make_sender(server, tls=implicit_tls).send(ALICE, HELLO)

    (mail,) = server.mails
    assert server.recipients == ["alice@example.com"]
    assert server.logins
    assert mail.get_content_type() == "multipart/alternative"
    assert parts(mail) == {"text/plain": HELLO.text, "text/html": HELLO.html}


def test_the_headers_name_event_sender_and_recipient_and_mark_it_as_automatic(
    make_sender: MakeSender, mail_server: MailServer, clock: ManualClock
) -> None:
    make_sender(mail_server).send(ALICE, HELLO)

    (mail,) = mail_server.mails
    assert mail["Subject"] == "Greeting: Bought 1 ^NSEI at ₹25,000.00."
    assert mail["From"] == f"Paper Trading <{USERNAME}>"
    assert mail["To"] == "Alice Ünal <alice@example.com>"
    assert parsedate_to_datetime(mail["Date"]) == clock.now()
    assert re.fullmatch(r"<[^@\s]+@example\.com>", mail["Message-ID"])
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["MIME-Version"] == "1.0"


@pytest.mark.parametrize(
    ("configured", "sender"),
    [
        ("Paper Desk <no-reply@desk.example>", "Paper Desk <no-reply@desk.example>"),
        ("no-reply@desk.example", "Paper Trading <no-reply@desk.example>"),
    ],
)
def test_an_email_is_from_the_configured_address(
    make_sender: MakeSender, mail_server: MailServer, configured: str, sender: str
) -> None:
    make_sender(mail_server, SMTP_FROM=configured).send(ALICE, HELLO)

    (mail,) = mail_server.mails
    assert mail["From"] == sender
    assert mail["Message-ID"].endswith("@desk.example>")


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b", "\x00\n"])
def test_text_of_a_user_adds_no_header_or_recipient(
    make_sender: MakeSender, mail_server: MailServer, end: str
) -> None:
    name = f'Eve"{end}Bcc: everyone@example.com'
    message = saying(f"Hello{end}Bcc: everyone@example.com{end}{end}<b>body</b>")

    make_sender(mail_server).send(replace(ALICE, name=name), message)

    (mail,) = mail_server.mails
    assert mail["Bcc"] is None
    assert mail_server.recipients == ["alice@example.com"]
    assert mail["To"].addresses[0].addr_spec == "alice@example.com"
    assert len(mail["To"].addresses) == 1
    assert set(parts(mail)) == {"text/plain", "text/html"}
    assert "<b>" not in parts(mail)["text/html"]


@pytest.mark.parametrize("length", [10, 100, 400])
def test_the_link_that_stops_the_emails_is_not_folded(
    make_sender: MakeSender, mail_server: MailServer, length: int
) -> None:
    link = f"https://desk.example/notifications/unsubscribe/{'0123456789' * (length // 10)}"

    make_sender(mail_server).send(ALICE, replace(HELLO, stop_link=link))
    make_sender(mail_server).send(ALICE, HELLO)

    with_link, without = mail_server.mails
    assert with_link["List-Unsubscribe"] == f"<{link}>"
    assert with_link["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert (without["List-Unsubscribe"], without["List-Unsubscribe-Post"]) == (None, None)


def test_a_name_that_is_a_link_is_not_in_the_address(
    make_sender: MakeSender, mail_server: MailServer
) -> None:
    name = "You won! https://evil.example/claim"
    make_sender(mail_server).send(replace(ALICE, name=name), HELLO)

    assert mail_server.mails[0]["To"] == "Trader <alice@example.com>"


def test_long_lines_and_every_script_arrive_as_they_were_written(
    make_sender: MakeSender, mail_server: MailServer
) -> None:
    words = "नमस्ते 🙂 " + "x" * 1_500 + " = end.\n.\n.dot"

    make_sender(mail_server).send(ALICE, saying(words))

    assert words in parts(mail_server.mails[0])["text/plain"]


@pytest.mark.parametrize(
    ("point", "answer", "reason"),
    [
        ("answer_login", "535 5.7.8 no", "the mail server refused the login (535)"),
        ("answer_login", "454 4.7.0 later", "the mail server refused the login (454)"),
        ("answer_sender", "550 not you", "the mail server refused the sender (550)"),
        ("answer_sender", "451 greylisted", "the mail server refused the sender (451)"),
        ("answer_message", "554 spam", "the mail server refused the message (554)"),
        ("answer_message", "452 disk full", "the mail server refused the message (452)"),
    ],
)
def test_a_refusal_is_permanent_only_with_a_5xx(
    make_sender: MakeSender, mail_server: MailServer, point: str, answer: str, reason: str
) -> None:
    setattr(mail_server, point, answer)

    error = failure(make_sender(mail_server))

    assert str(error) == reason
    assert error.permanent is answer.startswith("5")
    assert mail_server.mails == []


@pytest.mark.parametrize("answer", ["550 no such user", "451 come back later"])
def test_a_refused_recipient_is_permanent_only_with_a_5xx(
    make_sender: MakeSender, mail_server: MailServer, answer: str
) -> None:
    mail_server.refused[ALICE.email] = answer

    error = failure(make_sender(mail_server))

    assert str(error) == f"the mail server refused the recipient ({answer[:3]})"
    assert error.permanent is answer.startswith("5")


@pytest.mark.parametrize("implicit_tls", [False, True])
def test_a_wrong_password_is_permanent_and_not_in_the_error(
    make_sender: MakeSender, certificate: Certificate, implicit_tls: bool
) -> None:
    with MailServer(*certificate, implicit_tls=implicit_tls).open() as server:
        error = failure(make_sender(server, tls=implicit_tls, SMTP_PASSWORD="not-the-password"))

    assert str(error) == "the mail server refused the login (535)"
    assert error.permanent
    assert error.remedy == "correct SMTP_USERNAME and SMTP_PASSWORD"
    assert server.mails == []


@pytest.mark.parametrize("implicit_tls", [False, True])
@pytest.mark.parametrize("host", ["localhost", "mail.example.net"])
def test_no_password_is_sent_to_a_server_without_a_valid_certificate(
    make_sender: MakeSender,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    host: str,
    implicit_tls: bool,
) -> None:
    stranger = make_certificate(tmp_path, host)
    if host != "localhost":
        # Signed by a trusted authority, for another host.
        monkeypatch.setenv("SSL_CERT_FILE", str(stranger[0]))
    with MailServer(*stranger, implicit_tls=implicit_tls).open() as server:
        error = failure(make_sender(server, tls=implicit_tls))

    assert str(error) == "the mail server's certificate is not valid for it"
    assert not error.permanent
    assert (server.mails, server.logins) == ([], [])


def test_a_server_without_starttls_gets_neither_password_nor_email(
    make_sender: MakeSender, certificate: Certificate
) -> None:
    with MailServer(*certificate, starttls=False).open() as server:
        error = failure(make_sender(server))

    assert str(error).startswith("the mail server offers no STARTTLS")
    assert not error.permanent
    assert (server.mails, server.logins) == ([], [])


def test_tls_to_a_port_of_starttls_is_reported(
    make_sender: MakeSender, mail_server: MailServer
) -> None:
    error = failure(make_sender(mail_server, tls=True))

    assert str(error) == "the mail server does not speak TLS as expected"
    assert "465" in error.remedy
    assert not error.permanent


def test_an_unreachable_or_unknown_server_is_a_temporary_error(
    make_sender: MakeSender, mail_server: MailServer
) -> None:
    away = failure(make_sender(mail_server, SMTP_PORT=free_port()))
    unknown = failure(make_sender(mail_server, SMTP_SERVER="no.such.host.invalid"))

    assert str(away) == "the mail server refused the connection"
    assert str(unknown) == "the mail server's name is not known"
    assert not away.permanent
    assert not unknown.permanent


def test_a_silent_server_is_left_in_time(make_sender: MakeSender, mail_server: MailServer) -> None:
    mail_server.silence = 30
    began = time.monotonic()

    error = failure(make_sender(mail_server, seconds=0.5))

    assert time.monotonic() - began < CONNECT_TIMEOUT_SECONDS / 2
    assert str(error) == "the mail server closed the connection or kept silent"
    assert not error.permanent


@pytest.mark.parametrize("smtputf8", [True, False])
@pytest.mark.parametrize("domain", ["bücher.example", "उदाहरण.भारत", "xn--bcher-kva.example"])
def test_domains_are_sent_in_punycode(
    make_sender: MakeSender, certificate: Certificate, domain: str, smtputf8: bool
) -> None:
    with MailServer(*certificate, smtputf8=smtputf8).open() as server:
        sender = make_sender(server, SMTP_FROM=f"Desk <desk@{domain}>")
        sender.send(replace(ALICE, email=f"alice@{domain}"), HELLO)

    punycode = domain.encode("idna").decode()
    assert server.recipients == [f"alice@{punycode}"]
    (mail,) = server.mails
    assert mail["To"] == f"Alice Ünal <alice@{punycode}>"
    assert mail["From"] == f"Desk <desk@{punycode}>"
    assert mail["Message-ID"].endswith(f"@{punycode}>")


def test_an_international_local_part_is_sent_to_a_server_with_smtputf8(
    make_sender: MakeSender, mail_server: MailServer
) -> None:
    make_sender(mail_server).send(replace(ALICE, email="आशा@bücher.example"), HELLO)

    assert mail_server.recipients == ["आशा@xn--bcher-kva.example"]


@pytest.mark.parametrize("implicit_tls", [False, True])
def test_an_international_local_part_without_smtputf8_is_a_permanent_error(
    make_sender: MakeSender, certificate: Certificate, implicit_tls: bool
) -> None:
    with MailServer(*certificate, implicit_tls=implicit_tls, smtputf8=False).open() as server:
        sender = make_sender(server, tls=implicit_tls)
        with pytest.raises(DeliveryError) as recipient:
            sender.send(replace(ALICE, email="आशा@example.com"), HELLO)
        with pytest.raises(DeliveryError) as sender_address:
            make_sender(server, tls=implicit_tls, SMTP_FROM="डेस्क@example.com").send(ALICE, HELLO)

    assert server.mails == []
    for error in (recipient.value, sender_address.value):
        assert error.permanent
        assert "SMTPUTF8" in str(error)
    assert "SMTP_FROM" in sender_address.value.remedy


def test_an_invalid_domain_is_a_permanent_error(
    make_sender: MakeSender, mail_server: MailServer
) -> None:
    with pytest.raises(DeliveryError) as error:
        make_sender(mail_server).send(replace(ALICE, email="a@xn--zz--.example"), HELLO)
    assert error.value.permanent


def test_an_accepted_email_counts_as_sent_even_if_quit_fails(
    make_sender: MakeSender, mail_server: MailServer
) -> None:
    mail_server.answer_goodbye = "421 too many of you"

    make_sender(mail_server).send(ALICE, HELLO)

    assert len(mail_server.mails) == 1


def test_a_password_outside_ascii_and_an_invalid_sender_are_reported(
    make_sender: MakeSender, mail_server: MailServer
) -> None:
    password = failure(make_sender(mail_server, SMTP_PASSWORD="pässword"))
    address = failure(make_sender(mail_server, SMTP_USERNAME="apikey"))

    assert password.permanent
    assert "ASCII" in password.remedy
    assert address.permanent
    assert address.remedy.startswith("set SMTP_FROM")


def test_a_refused_login_at_gmail_suggests_an_app_password() -> None:
    refused = smtplib.SMTPAuthenticationError(535, b"5.7.8 Username and Password not accepted")

    error = explain(refused, "smtp.gmail.com")

    assert error.permanent
    assert "app password" in error.remedy
    assert "https://myaccount.google.com/apppasswords" in error.remedy


def test_an_app_password_may_have_the_spaces_that_google_shows() -> None:
    shown = SecretStr("abcd efgh ijkl mnop")

    assert login_password("smtp.gmail.com", shown).get_secret_value() == "abcdefghijklmnop"
    assert login_password("mail.example.com", shown) == shown


def test_a_recorded_message_is_a_line_in_the_log_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender = RecordingSender("sms")

    with caplog.at_level("INFO", logger="paper_trading"):
        sender.send(ALICE, HELLO)

    (record,) = caplog.records
    assert record.getMessage() == "sms recorded, not sent"
    assert vars(record)["fields"] == {"user": "alice", "events": 1}
    assert "Bought" not in caplog.text
