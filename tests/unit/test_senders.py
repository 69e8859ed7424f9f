"""Senders: which ones the configuration creates, and the delays between their attempts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.delivery import create_senders
from app.delivery.attempts import FIRST_RETRY, MAX_ATTEMPTS, MAX_RETRY, max_delay
from app.delivery.email import EmailSender
from app.delivery.senders import RecordingSender
from app.delivery.sms import SmsSender
from config import Settings


@pytest.mark.parametrize("attempts", range(1, MAX_ATTEMPTS + 1))
def test_the_delay_doubles_with_each_retry(attempts: int) -> None:
    assert max_delay(attempts) == min(FIRST_RETRY * 2 ** (attempts - 1), MAX_RETRY)


def test_the_delay_is_at_most_an_hour() -> None:
    assert max_delay(10_000) == MAX_RETRY == timedelta(hours=1)


def settings(**variables: str) -> Settings:
    return Settings.model_validate(variables)


def test_without_credentials_messages_are_recorded() -> None:
    senders = create_senders(settings())

    assert [(sender.channel, sender.outcome) for sender in senders] == [
        ("email", "recorded"),
        ("sms", "recorded"),
    ]
    assert all(isinstance(sender, RecordingSender) for sender in senders)


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
