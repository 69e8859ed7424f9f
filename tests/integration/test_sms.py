"""SMS by the twilio client against a server of its REST API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import format_datetime

import pytest

from app.delivery.senders import DeliveryError
from app.delivery.sms import SmsSender
from config import Settings
from tests.fakes.twilio import ACCOUNT, NUMBER, ROOT, TOKEN, Refusal, TwilioServer
from tests.support.market import ManualClock
from tests.support.messages import ALICE, saying
from tests.support.server import free_port

HELLO = saying("Bought 1 ^NSEI at ₹25,000.00.")
MakeSender = Callable[..., SmsSender]


@pytest.fixture
def twilio() -> Iterator[TwilioServer]:
    with TwilioServer().open() as server:
        yield server


@pytest.fixture
def make_sender(
    twilio: TwilioServer, make_settings: Callable[..., Settings], clock: ManualClock
) -> MakeSender:
    def make(seconds: float = 5, **variables: object) -> SmsSender:
        settings = make_settings(**{**twilio.environment, **variables})
        return SmsSender(settings, clock=clock, seconds=seconds)

    return make


@pytest.fixture
def sms(make_sender: MakeSender) -> SmsSender:
    return make_sender()


def failure(work: Callable[[], None]) -> DeliveryError:
    with pytest.raises(DeliveryError) as error:
        work()
    shown = f"{error.value} {error.value.remedy}"
    assert TOKEN not in shown
    assert ACCOUNT not in shown
    return error.value


def failure_to_send(sender: SmsSender) -> DeliveryError:
    return failure(lambda: sender.send(ALICE, HELLO))


def test_a_text_message_arrives_at_its_number(sms: SmsSender, twilio: TwilioServer) -> None:
    sms.send(ALICE, HELLO)

    assert twilio.paths == [f"{ROOT}/Messages.json"]
    body = "Paper trading: Bought 1 ^NSEI at Rs 25,000.00."
    assert twilio.messages == [{"To": ALICE.phone, "From": NUMBER, "Body": body}]


def test_a_long_message_is_cut_between_words(sms: SmsSender, twilio: TwilioServer) -> None:
    sms.send(ALICE, saying("seven77 " * 250))

    (message,) = twilio.messages
    assert 150 < len(message["Body"]) <= 160
    assert message["Body"].endswith(" seven77...")


def test_an_invalid_number_is_a_permanent_error(sms: SmsSender, twilio: TwilioServer) -> None:
    twilio.bad_numbers.add(ALICE.phone)

    error = failure_to_send(sms)

    assert str(error) == "Twilio answered 400 (error 21211)"
    assert error.permanent
    assert twilio.messages == []


@pytest.mark.parametrize(
    ("status", "code", "permanent"),
    [
        (400, 21610, True),
        (400, 21611, False),
        (403, 20008, True),
        (404, 20404, True),
        (408, 20408, False),
        (429, 20429, False),
        (500, 20500, False),
        (503, 20503, False),
    ],
)
def test_a_refusal_is_permanent_only_if_a_retry_is_useless(
    sms: SmsSender, twilio: TwilioServer, status: int, code: int, permanent: bool
) -> None:
    twilio.refusals = [Refusal(status, code)]

    error = failure_to_send(sms)

    assert str(error) == f"Twilio answered {status} (error {code})"
    assert error.permanent is permanent
    assert error.retry_after is None
    sms.send(ALICE, HELLO)
    assert len(twilio.messages) == 1


def test_the_retry_after_of_twilio_is_kept(
    sms: SmsSender, twilio: TwilioServer, clock: ManualClock
) -> None:
    date = format_datetime(clock.now() + timedelta(minutes=5), usegmt=False)
    waits = {
        "90": timedelta(seconds=90),
        date: timedelta(minutes=5),
        "Mon, 23 Nov 2026 04:02:00 GMT": timedelta(minutes=2),
        "Mon, 23 Nov 2020 04:02:00 GMT": timedelta(0),
        "99999999999999999999": timedelta(days=1),
        "soon": None,
    }
    for said, wait in waits.items():
        twilio.refusals = [Refusal(429, 20429, retry_after=said)]
        assert failure_to_send(sms).retry_after == wait, said

    twilio.refusals = [Refusal(503, 20503)]
    assert failure_to_send(sms).retry_after is None


@pytest.mark.parametrize("breaks", ["hang", "hang up", "cut short", "garbage"])
def test_a_hanging_or_broken_server_is_a_temporary_error(
    make_sender: MakeSender, twilio: TwilioServer, breaks: str
) -> None:
    sms = make_sender(seconds=0.5)
    twilio.breaks = breaks

    error = failure_to_send(sms)

    assert str(error).startswith("Twilio could not be reached (")
    assert not error.permanent
    twilio.breaks = ""
    sms.send(ALICE, HELLO)


def test_an_unreachable_server_is_a_temporary_error(make_sender: MakeSender) -> None:
    sms = make_sender(TWILIO_ROOT_URL=f"http://127.0.0.1:{free_port()}")

    error = failure_to_send(sms)

    assert str(error) == "Twilio could not be reached (ConnectionError)"
    assert not error.permanent


def test_verifying_an_account_sends_nothing(sms: SmsSender, twilio: TwilioServer) -> None:
    sms.verify()

    assert twilio.paths == [f"{ROOT}.json", f"{ROOT}/IncomingPhoneNumbers.json"]
    assert twilio.messages == []


def test_wrong_credentials_are_reported_with_where_to_find_them(
    make_sender: MakeSender,
) -> None:
    token = failure(make_sender(TWILIO_AUTH_TOKEN="not-the-token").verify)
    account = failure(make_sender(TWILIO_ACCOUNT_SID="AC99").verify)

    for error in (token, account):
        assert str(error) == "Twilio answered 401 (error 20003)"
        assert "TWILIO_ACCOUNT_SID" in error.remedy
        assert "TWILIO_AUTH_TOKEN" in error.remedy


def test_a_number_of_another_account_or_without_sms_is_reported(
    make_sender: MakeSender, twilio: TwilioServer
) -> None:
    strange = failure(make_sender(TWILIO_PHONE_NUMBER="+15559999").verify)
    twilio.numbers[NUMBER] = {"sms": False, "voice": True}
    mute = failure(make_sender().verify)

    assert str(strange) == "the Twilio account has no such number"
    assert str(mute) == "the Twilio number cannot send SMS"
    for error in (strange, mute):
        assert "TWILIO_PHONE_NUMBER" in error.remedy


def test_a_suspended_account_is_reported(sms: SmsSender, twilio: TwilioServer) -> None:
    twilio.account_status = "suspended"

    assert str(failure(sms.verify)) == "the Twilio account is suspended"
