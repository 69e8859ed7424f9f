"""Price alerts: conditions with an owner, a number and a status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal

from bson import ObjectId
from pymongo import UpdateOne

from app.database import Document, collection
from app.database.hints import use_index
from app.domain.alert import AlertCondition, AlertStatus, Direction, Trigger
from app.domain.quote import Posting, Quote, Source
from app.domain.triggers import SettledFrom
from app.models.paging import newest_first
from app.models.trigger_index import TriggerIndex
from app.models.widening import Widening

BY_NUMBER = ("user_id", "status", "number")
INDEX = TriggerIndex("alerts", below="below", above="above")


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `number` counts a user's alerts from 1, including deleted ones."""

    id: ObjectId
    user_id: str
    number: int
    symbol: str
    condition: AlertCondition
    status: AlertStatus
    created_at: datetime
    trigger: Trigger | None = None
    triggered_at: datetime | None = None
    # The ids of the corporate actions that have adjusted its levels.
    adjusted_by: Sequence[str] = ()

    @property
    def set_at(self) -> datetime:
        """The time of the quote that it was set at."""
        return self.condition.timestamp

    @classmethod
    def from_document(cls, document: Document) -> Alert:
        posting = document.get("posting")
        return cls(
            id=document["_id"],
            user_id=document["user_id"],
            number=document["number"],
            symbol=document["symbol"],
            condition=AlertCondition(
                above=document["above"],
                below=document["below"],
                source=Source(document["source"]),
                timestamp=document["timestamp"],
                posting=Posting(**posting) if posting else None,
            ),
            status=AlertStatus(document["status"]),
            created_at=document["created_at"],
            trigger=_trigger(document),
            triggered_at=document.get("triggered_at"),
            adjusted_by=tuple(document.get("adjusted_by", ())),
        )

    @classmethod
    def create(
        cls,
        *,
        user_id: str,
        number: int,
        symbol: str,
        condition: AlertCondition,
        created_at: datetime,
        widening: Widening,
    ) -> Alert:
        """Insert an active alert, for whose levels bounds were widened.

        Raises ExecutionTimeout if it is too late.
        """
        status = AlertStatus.ACTIVE
        alert = cls(ObjectId(), user_id, number, symbol, condition, status, created_at)
        collection("alerts").insert_one(alert.as_set())
        widening.require()
        return alert

    def as_set(self) -> Document:
        """Return the document of the alert as it was set."""
        return {
            "_id": self.id,
            "user_id": self.user_id,
            "number": self.number,
            "symbol": self.symbol,
            **_condition(self.condition),
            "status": AlertStatus.ACTIVE.value,
            "waiting": True,
            "created_at": self.created_at,
        }

    @classmethod
    def find_by_id(cls, user_id: str, alert_id: ObjectId) -> Alert | None:
        """Return the user's alert; None for an unknown one or another user's."""
        document = collection("alerts").find_one({"_id": alert_id, "user_id": user_id})
        return cls.from_document(document) if document else None

    @classmethod
    def find_by_user_id(
        cls,
        user_id: str,
        *,
        status: AlertStatus | None = None,
        symbol: str | None = None,
        below: int,
        limit: int,
    ) -> list[Alert]:
        """Return the user's alerts with a number under `below`, newest first."""
        query = {"user_id": user_id, "status": status and status.value, "symbol": symbol}
        documents = newest_first("alerts", query, BY_NUMBER, below=below, limit=limit)
        return [cls.from_document(document) for document in documents]

    @classmethod
    def change(cls, alert: Alert, condition: AlertCondition, widening: Widening) -> Alert | None:
        """Replace the condition of an active alert; return it as it then is.

        Returns None if it fired or changed since it was read. Raises as `create` does.
        """
        query = {
            "_id": alert.id,
            "user_id": alert.user_id,
            "status": AlertStatus.ACTIVE.value,
            "above": alert.condition.above,
            "below": alert.condition.below,
        }
        changed = collection("alerts").update_one(query, {"$set": _condition(condition)})
        widening.require()
        return replace(alert, condition=condition) if changed.matched_count else None

    @classmethod
    def adjust(
        cls, alert: Alert, condition: AlertCondition, action: str, widening: Widening
    ) -> bool:
        """Replace the condition of an active alert once for a corporate action, by its id.

        Returns False if it fired, changed or was adjusted since it was read. Raises as `create`
        does.
        """
        query = {
            "_id": alert.id,
            "user_id": alert.user_id,
            "status": AlertStatus.ACTIVE.value,
            "above": alert.condition.above,
            "below": alert.condition.below,
            "adjusted_by": {"$ne": action},
        }
        adjusted = {"$set": _condition(condition), "$push": {"adjusted_by": action}}
        changed = collection("alerts").update_one(query, adjusted)
        widening.require()
        return bool(changed.modified_count)

    @classmethod
    def count_active(cls, user_id: str) -> int:
        """Return the number of the user's active alerts."""
        query = {"user_id": user_id, "status": AlertStatus.ACTIVE.value}
        return collection("alerts").count_documents(query, **use_index(*BY_NUMBER))

    @classmethod
    def any_active(cls, symbol: str) -> bool:
        """Return whether any user has an active alert on the symbol."""
        return INDEX.any_waiting(symbol)

    @classmethod
    def find_crossed(cls, symbol: str, lowest: Decimal, highest: Decimal) -> Iterator[Alert]:
        """Yield the active alerts with a level that prices from `lowest` to `highest` reach."""
        return map(cls.from_document, INDEX.find_reached(symbol, lowest, highest))

    @classmethod
    def trigger_many(cls, triggers: Sequence[AlertTrigger], now: datetime) -> int:
        """Mark the active ones of the alerts as triggered; return how many."""
        result = collection("alerts").bulk_write(
            [
                UpdateOne(
                    {
                        "_id": trigger.alert.id,
                        "user_id": trigger.alert.user_id,
                        "status": AlertStatus.ACTIVE.value,
                    },
                    {"$set": _triggered(trigger.trigger, now)},
                )
                for trigger in triggers
            ],
            ordered=False,
        )
        return result.modified_count

    @classmethod
    def purge(cls, user_id: str, low: int, high: int, until: datetime, *, apply: bool) -> int:
        """Delete the alerts triggered before `until`, numbered from `low` to below `high`.

        Returns how many it deletes; without `apply` it only counts them.
        """
        query = {
            "user_id": user_id,
            "status": AlertStatus.TRIGGERED.value,
            "number": {"$gte": low, "$lt": high},
            "triggered_at": {"$lt": until},
        }
        hint = use_index(*BY_NUMBER)
        if apply:
            return collection("alerts").delete_many(query, **hint).deleted_count
        return collection("alerts").count_documents(query, **hint)

    @classmethod
    def delete(cls, alert_id: ObjectId, user_id: str) -> Alert | None:
        """Delete the user's alert and return it; None if the user has no such alert."""
        query = {"_id": alert_id, "user_id": user_id}
        document = collection("alerts").find_one_and_delete(query)
        return cls.from_document(document) if document else None


@dataclass(frozen=True, slots=True)
class AlertTrigger:
    """An alert and how it fires."""

    alert: Alert
    trigger: Trigger

    @property
    def user_id(self) -> str:
        return self.alert.user_id


def _condition(condition: AlertCondition) -> Document:
    return {
        "above": condition.above,
        "below": condition.below,
        "source": condition.source.value,
        "timestamp": condition.timestamp,
        "posting": asdict(condition.posting) if condition.posting else None,
    }


def _triggered(trigger: Trigger, now: datetime) -> Document:
    return {
        "status": AlertStatus.TRIGGERED.value,
        "waiting": False,
        "direction": trigger.direction.value,
        # The evidence: the quote that reached the level.
        "crossing_price": trigger.quote.price,
        "crossing_source": trigger.quote.source.value,
        "crossing_timestamp": trigger.quote.timestamp,
        "settled_from": trigger.settled_from.value if trigger.settled_from else None,
        "triggered_at": now,
    }


def _trigger(document: Document) -> Trigger | None:
    if document.get("triggered_at") is None:
        return None
    return Trigger(
        direction=Direction(document["direction"]),
        quote=Quote(
            symbol=document["symbol"],
            price=document["crossing_price"],
            source=Source(document["crossing_source"]),
            timestamp=document["crossing_timestamp"],
        ),
        settled_from=SettledFrom(document["settled_from"]) if document["settled_from"] else None,
    )
