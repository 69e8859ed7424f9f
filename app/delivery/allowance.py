"""Allowances: who may receive messages, and how many a day.

Sent messages count per recipient and for the whole server, by day (UTC). The limits protect
strangers whose address someone registered, and the operator, who pays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.contact import is_mobile_in
from app.models import Quota, User
from config import Settings


@dataclass(frozen=True, slots=True)
class Allowance:
    settings: Settings

    def refusal(self, user: User, channel: str) -> str | None:
        """Return why the user may receive nothing by this channel; None if they may."""
        if not self.settings.strict_accounts:
            return None
        if not user.is_confirmed(channel):
            route = "email" if channel == "email" else "phone"
            return f"not confirmed: POST /auth/verify/{route}"
        if channel == "sms" and not is_mobile_in(user.phone, self.settings.sms_countries):
            return "not a mobile number of SMS_COUNTRIES"
        return None

    def take(self, user: User, channel: str, now: datetime) -> str | None:
        """Count one message to the user; return which limit it exceeds, None if none."""
        recipient, server = self._limits(channel)
        own, all_keys = _keys(user, channel, now)
        if not Quota.take(own, recipient):
            return f"the recipient has had {recipient} messages by {channel} today"
        if not Quota.take(all_keys, server):
            Quota.give_back(own)
            return f"the server has sent {server} messages by {channel} today"
        return None

    def give_back(self, user: User, channel: str, now: datetime) -> None:
        """Uncount one message: it was not sent."""
        for key in _keys(user, channel, now):
            Quota.give_back(key)

    def _limits(self, channel: str) -> tuple[int, int]:
        settings = self.settings
        if channel == "email":
            return settings.max_emails_per_recipient, settings.max_emails_per_day
        return settings.max_sms_per_recipient, settings.max_sms_per_day


def _keys(user: User, channel: str, now: datetime) -> tuple[str, str]:
    return Quota.key(channel, now, user.address(channel)), Quota.key(channel, now)
