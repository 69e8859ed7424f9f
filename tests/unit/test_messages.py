"""Messages of the outbox: their words, and when they are tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from bson import ObjectId

from app.delivery import create_senders
from app.delivery.outbox import (
    FIRST_RETRY,
    LONGEST_RETRY,
    MOST_ATTEMPTS,
    MOST_LINES,
    compose,
    retry_delay,
)
from app.delivery.senders import EmailSender, RecordingSender, SmsSender
from app.models import Notification
from config import Settings
from tests.support.quotes import NOON


def notification(message: str, type: str = "trade_created") -> Notification:
    return Notification(
        id=ObjectId(),
        user_id="alice",
        seq=1,
        type=type,
        message=message,
        data={},
        is_read=False,
        created_at=NOON,
        deliveries=[],
    )


def test_one_event_is_a_message_of_its_own() -> None:
    message = compose([notification("Bought 1 ^NSEI at 25,000.00.")])

    assert message.subject == "Paper trading: trade created"
    assert message.text == "Bought 1 ^NSEI at 25,000.00."


def test_several_events_are_one_message_in_their_order() -> None:
    message = compose([notification(f"Event {n}.") for n in range(3)])

    assert message.subject == "Paper trading: 3 events"
    assert message.text == "Event 0.\nEvent 1.\nEvent 2."


def test_a_long_list_of_events_is_cut_and_the_rest_counted() -> None:
    whole = compose([notification(f"Event {n}.") for n in range(MOST_LINES)])
    cut = compose([notification(f"Event {n}.") for n in range(MOST_LINES + 7)])

    assert len(whole.text.splitlines()) == MOST_LINES
    assert cut.text.splitlines()[-1] == "... and 7 more."
    assert len(cut.text.splitlines()) == MOST_LINES + 1
    assert cut.subject == f"Paper trading: {MOST_LINES + 7} events"


@pytest.mark.parametrize(
    "type", ["hello\r\nBcc: everyone@example.com", "a\u2028b", "line\nbreak", "tab\tbed"]
)
def test_no_name_of_an_event_adds_a_header(type: str) -> None:
    subject = compose([notification("Hello.", type)]).subject

    assert len(subject.splitlines()) == 1
    assert "\t" not in subject


@pytest.mark.parametrize("attempts", range(1, MOST_ATTEMPTS + 1))
def test_each_retry_waits_about_twice_as_long_as_the_one_before(attempts: int) -> None:
    longest = min(FIRST_RETRY * 2 ** (attempts - 1), LONGEST_RETRY)

    delays = {retry_delay(attempts) for _ in range(200)}

    assert all(longest / 2 <= each <= longest for each in delays)
    assert len(delays) > 100


def test_no_retry_waits_longer_than_an_hour() -> None:
    assert retry_delay(10_000) <= LONGEST_RETRY == timedelta(hours=1)


def settings(**variables: str) -> Settings:
    return Settings.model_validate(variables)


def test_without_credentials_messages_are_recorded() -> None:
    senders = create_senders(settings())

    assert [(each.channel, each.outcome) for each in senders] == [
        ("email", "recorded"),
        ("sms", "recorded"),
    ]
    assert all(isinstance(each, RecordingSender) for each in senders)


def test_with_credentials_messages_are_sent() -> None:
    email, sms = create_senders(
        settings(
            smtp_username="me@example.com",
            smtp_password="hunter2",
            twilio_account_sid="AC1",
            twilio_auth_token="hunter2",
            twilio_phone_number="+15550100",
        )
    )

    assert isinstance(email, EmailSender)
    assert isinstance(sms, SmsSender)
    assert (email.channel, email.outcome) == ("email", "sent")
    assert (sms.channel, sms.outcome) == ("sms", "sent")
