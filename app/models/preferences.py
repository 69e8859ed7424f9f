"""Preferences: by which channels a user wants to be told, and of what.

They rule email and SMS alone. Every event is written down and shown by socket whatever they say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.database import Document


class EventType(StrEnum):
    """What a user can ask to be told of; CUSTOM is every event under any other name."""

    TRADE_CREATED = "trade_created"
    TRADE_EXITED = "trade_exited"
    TRADE_AUTO_CLOSED = "trade_auto_closed"
    PRICE_ALERT = "price_alert"
    CUSTOM = "custom"

    @classmethod
    def of(cls, name: str) -> EventType:
        """Return the type that an event of this name counts as."""
        try:
            return cls(name)
        except ValueError:
            return cls.CUSTOM


@dataclass(frozen=True, slots=True)
class Preferences:
    """`events` of None means every type, those of later releases included."""

    email: bool = True
    sms: bool = True
    events: frozenset[EventType] | None = None

    @classmethod
    def choose(cls, *, email: bool, sms: bool, events: Iterable[EventType] | None) -> Preferences:
        """Return preferences; all the types there are, named one by one, are every type."""
        chosen = None if events is None else frozenset(events)
        return cls(email, sms, None if chosen == frozenset(EventType) else chosen)

    @classmethod
    def from_document(cls, document: Document | None) -> Preferences:
        """Return what was saved; everything on where nothing was."""
        if document is None:
            return cls()
        names = document["events"]
        events = None if names is None else frozenset(EventType.of(each) for each in names)
        return cls(document["email"], document["sms"], events)

    def to_document(self) -> dict[str, Any]:
        events = None if self.events is None else [each.value for each in self.event_types]
        return {"email": self.email, "sms": self.sms, "events": events}

    @property
    def event_types(self) -> list[EventType]:
        """The chosen types, in the order in which they are declared."""
        return [each for each in EventType if self.events is None or each in self.events]

    def allow(self, channel: str, event: str) -> bool:
        """Tell whether an event of this name may go out by this channel."""
        switches = {"email": self.email, "sms": self.sms}
        wanted = self.events is None or EventType.of(event) in self.events
        # A channel without a switch of its own is ruled by the types alone.
        return wanted and switches.get(channel, True)
