"""Preferences: the channels and the types of event that a user wants messages for.

They apply to email and SMS only. Every event is stored, and sent to sockets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.database import Document


class EventType(StrEnum):
    """The types of event a user can choose; CUSTOM is every event of another name."""

    TRADE_CREATED = "trade_created"
    TRADE_EXITED = "trade_exited"
    TRADE_AUTO_CLOSED = "trade_auto_closed"
    PRICE_ALERT = "price_alert"
    CUSTOM = "custom"

    @classmethod
    def of(cls, name: str) -> EventType:
        """Return the type of an event of this name."""
        try:
            return cls(name)
        except ValueError:
            return cls.CUSTOM


@dataclass(frozen=True, slots=True)
class Preferences:
    """By default everything is on. `events` is None for every type, also of later releases."""

    email: bool = True
    sms: bool = True
    events: frozenset[EventType] | None = None

    @classmethod
    def choose(cls, *, email: bool, sms: bool, events: Iterable[EventType] | None) -> Preferences:
        """Return preferences; a choice of all types counts as every type."""
        chosen = None if events is None else frozenset(events)
        return cls(email, sms, None if chosen == frozenset(EventType) else chosen)

    @classmethod
    def from_document(cls, document: Document) -> Preferences:
        names = document["events"]
        events = None if names is None else frozenset(EventType.of(name) for name in names)
        return cls(document["email"], document["sms"], events)

    def to_document(self) -> dict[str, Any]:
        events = None if self.events is None else [type.value for type in self.event_types]
        return {"email": self.email, "sms": self.sms, "events": events}

    @property
    def event_types(self) -> list[EventType]:
        """The chosen types, in their order of declaration."""
        return [type for type in EventType if self.events is None or type in self.events]

    def allow(self, channel: str, event: str) -> bool:
        """Return whether an event of this name may be sent by this channel."""
        switches = {"email": self.email, "sms": self.sms}
        wanted = self.events is None or EventType.of(event) in self.events
        # A channel without a switch depends on the types only.
        return wanted and switches.get(channel, True)
