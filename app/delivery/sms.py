"""SMS by Twilio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from app.clock import Clock, SystemClock
from app.delivery.messages import Message
from app.delivery.senders import DeliveryError
from app.models import User
from config import Settings

TIMEOUT_SECONDS = 20
# Errors of status 400 that are temporary: the queue of the sending number is full.
TEMPORARY_CODES = frozenset({21611})
# A longer Retry-After is taken as this.
MAX_RETRY_AFTER = timedelta(days=1)


class SmsSender:
    """Sends by Twilio's REST API."""

    channel = "sms"
    outcome = "sent"

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._clock = clock or SystemClock()
        # The errors of the library do not carry the response headers, so a hook reads them.
        self._retry_after = ""
        hooks = {"response": self._note_retry_after}
        self._client = Client(
            settings.twilio_account_sid,
            settings.twilio_auth_token.get_secret_value(),
            http_client=TwilioHttpClient(timeout=seconds, request_hooks=hooks),
        )
        if settings.twilio_root_url:
            self._client.api.base_url = settings.twilio_root_url.rstrip("/")
        self._account_sid = settings.twilio_account_sid
        self._from = settings.twilio_phone_number

    def send(self, user: User, message: Message) -> None:
        """Send one text message."""
        with self._errors():
            self._client.messages.create(to=user.phone, from_=self._from, body=message.sms)

    def verify(self) -> None:
        """Check that the account is active, and that it owns the number, which can send SMS."""
        with self._errors():
            account = self._client.api.accounts(self._account_sid).fetch()
            numbers = self._client.incoming_phone_numbers.list(phone_number=self._from, limit=1)
        if account.status != "active":
            raise DeliveryError(
                f"the Twilio account is {account.status}",
                remedy="open it again at https://console.twilio.com",
            )
        if not any(number.phone_number == self._from for number in numbers):
            raise DeliveryError(
                "the Twilio account has no such number",
                remedy="set TWILIO_PHONE_NUMBER to one of Phone Numbers > Active numbers in the "
                "console, written as +14155550100",
            )
        if not numbers[0].capabilities.get("sms"):
            raise DeliveryError(
                "the Twilio number cannot send SMS",
                remedy="set TWILIO_PHONE_NUMBER to a number with the SMS capability",
            )

    def _note_retry_after(self, response: Any, **_: Any) -> None:
        self._retry_after = response.headers.get("Retry-After", "")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        self._retry_after = ""
        try:
            yield
        except (TwilioRestException, TwilioServiceException) as error:
            raise self._failure(int(error.status), int(error.code or 0)) from None
        except (OSError, ValueError) as error:
            # An error of the network, or a response that is not JSON. Only the name of the error:
            # its text may quote the URL, which contains the SID.
            raise DeliveryError(
                f"Twilio could not be reached ({type(error).__name__})",
                remedy="check that this machine reaches https://api.twilio.com "
                "and that TWILIO_ROOT_URL is empty",
            ) from None

    def _failure(self, status: int, code: int) -> DeliveryError:
        refused = 400 <= status < 500 and status not in (408, 429)
        return DeliveryError(
            f"Twilio answered {status} (error {code})",
            permanent=refused and code not in TEMPORARY_CODES,
            retry_after=parse_retry_after(self._retry_after, self._clock.now()),
            remedy=_REMEDIES.get(code) or _REMEDIES.get(status, _LOOK_UP),
        )


def parse_retry_after(value: str, now: datetime) -> timedelta | None:
    """Return the delay of a Retry-After header, in seconds or as a date; None if it has none."""
    try:
        if value.strip().isdecimal():
            wait = timedelta(seconds=min(int(value), 10**6))
        else:
            date = parsedate_to_datetime(value)
            wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    except ValueError:
        return None
    return min(max(wait, timedelta(0)), MAX_RETRY_AFTER)


_LOOK_UP = "look the error up at https://www.twilio.com/docs/api/errors"
_CREDENTIALS = (
    "copy TWILIO_ACCOUNT_SID (AC and 32 characters) and TWILIO_AUTH_TOKEN again from the first "
    "page of https://console.twilio.com"
)
# Remedies by Twilio's error code, else by HTTP status.
_REMEDIES = {
    20003: _CREDENTIALS,
    20404: _CREDENTIALS,
    401: _CREDENTIALS,
    404: _CREDENTIALS,
    20008: "test credentials send nothing: take the live ones of https://console.twilio.com",
}
