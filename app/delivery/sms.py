"""SMS by Twilio's REST API: https://www.twilio.com/docs/messaging/api/message-resource."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from app.clock import Clock, SystemClock
from app.delivery.messages import Message
from app.delivery.senders import DeliveryError
from app.models import User
from config import Settings

ROOT_URL = "https://api.twilio.com"
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
        root = settings.twilio_root_url.rstrip("/") or ROOT_URL
        self._account_url = f"{root}/2010-04-01/Accounts/{settings.twilio_account_sid}"
        self._session = requests.Session()
        self._session.auth = (
            settings.twilio_account_sid,
            settings.twilio_auth_token.get_secret_value(),
        )
        self._seconds = seconds
        self._from = settings.twilio_phone_number

    def send(self, user: User, message: Message) -> None:
        """Send one text message."""
        body = {"To": user.phone, "From": self._from, "Body": message.sms}
        self._request("POST", "/Messages.json", body)

    def verify(self) -> None:
        """Check that the account is active, and that it owns the number, which can send SMS."""
        status = self._request("GET", ".json").get("status")
        numbers = self._request(
            "GET", "/IncomingPhoneNumbers.json", {"PhoneNumber": self._from, "PageSize": 1}
        ).get("incoming_phone_numbers", [])
        if status != "active":
            raise DeliveryError(
                f"the Twilio account is {status}",
                remedy="open it again at https://console.twilio.com",
            )
        if not any(number["phone_number"] == self._from for number in numbers):
            raise DeliveryError(
                "the Twilio account has no such number",
                remedy="set TWILIO_PHONE_NUMBER to one of Phone Numbers > Active numbers in the "
                "console, written as +14155550100",
            )
        if not numbers[0]["capabilities"].get("sms"):
            raise DeliveryError(
                "the Twilio number cannot send SMS",
                remedy="set TWILIO_PHONE_NUMBER to a number with the SMS capability",
            )

    def _request(
        self, method: str, path: str, fields: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the body of a response; raise DeliveryError if there is none, or an error."""
        try:
            response = self._session.request(
                method,
                f"{self._account_url}{path}",
                data=fields if method == "POST" else None,
                params=fields if method == "GET" else None,
                timeout=self._seconds,
                allow_redirects=False,
            )
            if response.status_code < 300:
                body: dict[str, Any] = response.json()
                return body
        except (OSError, ValueError) as error:
            # An error of the network, or a response that is not JSON. Only the name of the error:
            # its text may quote the URL, which contains the SID.
            raise DeliveryError(
                f"Twilio could not be reached ({type(error).__name__})",
                remedy="check that this machine reaches https://api.twilio.com "
                "and that TWILIO_ROOT_URL is empty",
            ) from None
        raise self._failure(response)

    def _failure(self, response: requests.Response) -> DeliveryError:
        status, code = response.status_code, 0
        # A proxy in between answers without Twilio's code.
        with suppress(ValueError, AttributeError, TypeError):
            code = int(response.json().get("code") or 0)
        refused = 400 <= status < 500 and status not in (408, 429)
        return DeliveryError(
            f"Twilio answered {status} (error {code})",
            permanent=refused and code not in TEMPORARY_CODES,
            retry_after=parse_retry_after(
                response.headers.get("Retry-After", ""), self._clock.now()
            ),
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
