"""Changes of trades: each transition is one update, guarded by the trade's status and version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bson import ObjectId
from pymongo import UpdateMany, UpdateOne

from app.database import Document, collection
from app.database.batches import batched
from app.database.hints import use_index
from app.domain.bounds import NOTHING, Bounds
from app.domain.corporate_actions import Adjusted
from app.domain.entry import Entered, EntryOrder, Triggered
from app.domain.fill import Exit
from app.domain.money import ZERO
from app.domain.trade import Ended, Modified, Transition
from app.models.bulk import IN_CLAUSE_SIZE, by_owner, value_by_id
from app.models.opened_terms import opened_fields
from app.models.trade import Trade
from app.models.trade_adjustments import adjusted_fields, adjustment_fields
from app.models.trade_document import (
    after_part_fields,
    bracket_fields,
    last_exit_fields,
    level_fields,
    modified_fields,
    partial_exit_fields,
    pending_fields,
)

Update = UpdateOne | UpdateMany
# Only pending trades have it, so that its index stays small.
NO_LONGER_PENDING = {"pending_until": ""}


@dataclass(frozen=True, slots=True)
class TradeChange:
    """A trade and the transition that changes it."""

    trade: Trade
    transition: Transition
    # The id of the trade of the rest, if it fills only a part of an entry.
    rest_id: ObjectId = field(default_factory=ObjectId, compare=False)

    @property
    def user_id(self) -> str:
        return self.trade.user_id

    @property
    def exit(self) -> Exit | None:
        """The exit, None for another change."""
        change = self.transition.change
        return change if isinstance(change, Exit) else None

    @property
    def is_last_exit(self) -> bool:
        """Whether it closes the trade."""
        return self.exit is not None and not self.transition.after.is_open

    @property
    def rest(self) -> EntryOrder | None:
        """The order that waits on after the fill of a part of it."""
        change = self.transition.change
        return change.rest if isinstance(change, Entered) else None

    @property
    def new_levels(self) -> Bounds:
        """The prices that the trade waits for after it and not before, and those of its rest."""
        after, rest = self.trade.after(self.transition), self.rest
        levels = after.levels if after and after.levels != self.trade.levels else NOTHING
        return levels.joined(Bounds(rest.trigger_below, rest.trigger_above)) if rest else levels

    def write(self, now: datetime) -> UpdateOne:
        """Return the update of a change that is not the last exit."""
        return UpdateOne(
            {
                "_id": self.trade.id,
                "user_id": self.user_id,
                "status": self.transition.before.value,
                **version_guard(self.trade),
            },
            {**_update(self, now), "$inc": {"version": 1}},
            **use_index("_id"),
        )


def apply_changes(changes: Sequence[TradeChange], now: datetime) -> int:
    """Change the trades that are still as their changes expect; return how many were.

    Each trade occurs once.
    """
    # SecantusDB: takes 0.5 ms for each update, however few documents it matches, so trades whose
    # exits differ in their P&L only share one. MongoDB would take one for each trade.
    equal: dict[object, list[TradeChange]] = defaultdict(list)
    updates: list[Update] = []
    for item in changes:
        if item.exit and item.is_last_exit:
            exit = replace(item.exit, pnl=ZERO, quantity=0)
            equal[replace(item.transition, change=exit), item.trade.version].append(item)
        else:
            updates.append(item.write(now))
    updates += [
        _close_equal(batch, now)
        for group in equal.values()
        for batch in batched(group, IN_CLAUSE_SIZE)
    ]
    return collection("trades").bulk_write(updates, ordered=False).modified_count


def version_guard(trade: Trade) -> Document:
    """Return the condition that the trade was not modified since it was read."""
    # A trade that was never modified has no version.
    return {"version": trade.version or None}


def _close_equal(items: Sequence[TradeChange], now: datetime) -> UpdateMany:
    """Return one update of trades whose last exits differ in their P&L only."""
    first = items[0]
    assert first.exit is not None
    owners: dict[ObjectId, str] = {item.trade.id: item.user_id for item in items}
    pnls = {item.trade.id: item.trade.pnl_after(item.exit) for item in items if item.exit}
    closed = {
        "status": first.transition.after.value,
        "waiting": False,
        "closed_at": now,
        **last_exit_fields(first.exit),
    }
    literals = {name: {"$literal": value} for name, value in closed.items()}
    return UpdateMany(
        {
            **by_owner(owners),
            "status": first.transition.before.value,
            **version_guard(first.trade),
        },
        [{"$set": {**literals, "pnl": value_by_id(pnls)}}],
        **use_index("_id"),
    )


def _update(item: TradeChange, now: datetime) -> Document:
    trade, change, status = item.trade, item.transition.change, item.transition.after.value
    if isinstance(change, Exit):
        left = trade.entered.after_part(change)
        queued = {"$set": after_part_fields(left)} if trade.entered.exit_queued else {}
        return {"$push": {"partial_exits": partial_exit_fields(change, now)}, **queued}
    if isinstance(change, Entered):
        entered = bracket_fields(change.bracket)
        triggered = {"triggered_at": change.triggered_at} if change.triggered_at else {}
        margin = {"margin_used": trade.margin_after(change)}
        filled = {**entered, **triggered, **margin, "status": status, "filled_at": now}
        if change.rest and trade.order:
            filled |= {"ordered_quantity": trade.order.quantity, "rest_trade_id": item.rest_id}
        return {"$set": filled, "$unset": NO_LONGER_PENDING}
    if isinstance(change, Triggered):
        assert trade.order is not None
        triggered_at = change.quote.timestamp
        order = replace(trade.order, triggered_at=triggered_at)
        return {"$set": {**level_fields(order), "triggered_at": triggered_at}}
    if isinstance(change, Modified):
        return {"$set": _modified(trade, change)}
    if isinstance(change, Adjusted):
        return _adjusted(trade, change)
    assert isinstance(change, Ended)
    ended = {"status": status, "waiting": False, "closed_at": now}
    return {"$set": {**ended, "end_reason": change.reason.value}, "$unset": NO_LONGER_PENDING}


def _modified(trade: Trade, change: Modified) -> Document:
    terms, fields = change.terms, modified_fields(change.terms)
    if isinstance(terms, EntryOrder):
        fields |= pending_fields(terms) | {"margin_used": terms.margin_at(terms.margin_price)}
    return fields | _opened_as(trade)


def _adjusted(trade: Trade, change: Adjusted) -> Document:
    fields = adjusted_fields(change)
    pushed: Document = {"$push": {"adjustments": adjustment_fields(change.adjustment)}}
    return pushed | ({"$set": fields | _opened_as(trade)} if fields else {})


def _opened_as(trade: Trade) -> Document:
    """Return what a trade was opened with, for the retry of the request that opened it."""
    if trade.opened_as is not None:
        return {}
    return {"opened_as": opened_fields(trade.order, trade.bracket)}
