"""The ledger of a portfolio: every change of its balance by time, from movements and exits.

A trade stores its exits, a movement is a document of its own. Each kind is read by an index that
ends with its time, newest first, and they are merged here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bson import ObjectId
from pymongo import DESCENDING

from app.database import Document, collection
from app.database.hints import use_index
from app.extensions import mongo
from app.models.movement import BY_TIME, Movement
from app.models.season import Season
from app.models.trade import Trade

CLOSED = ("user_id", "portfolio_id", "closed_at")
EXITED = ("user_id", "portfolio_id", "partial_exits.time")
FIRST_WINDOW = timedelta(hours=1)

# Orders the lines: the time, the id of the source, and the number of the exit among its own.
LineKey = tuple[datetime, ObjectId, int]


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One change of the balance: `amount` is what it adds, in rupees.

    `source` is a movement, or the trade of an exit, whose exits `number` counts from 1.
    """

    time: datetime
    number: int
    amount: Decimal
    source: Movement | Trade

    @property
    def key(self) -> LineKey:
        return self.time, self.source.id, self.number


@dataclass(frozen=True, slots=True)
class Span:
    """What is read at most: lines from `since` to before a key, `limit` of them."""

    since: datetime
    before: LineKey
    limit: int


def read_ledger(
    user_id: str, portfolio_id: ObjectId, season: Season, span: Span
) -> list[LedgerLine]:
    """Return the newest lines of a season in a span, newest first."""
    owner: Document = {"user_id": user_id, "portfolio_id": portfolio_id}
    lines = {
        line.key: line
        for line in (
            *_movements({**owner, "season": season.number}, span),
            *_last_exits({**owner, **_numbers(season)}, span),
            *_partial_exits({**owner, **_numbers(season)}, span),
        )
        if line.key < span.before
    }
    return [lines[key] for key in sorted(lines, reverse=True)[: span.limit]]


def _numbers(season: Season) -> Document:
    return {"number": {"$gte": season.first_number, "$lte": season.last_number}}


def _movements(query: Document, span: Span) -> Iterator[LedgerLine]:
    for document in _latest("movements", query, BY_TIME, span):
        movement = Movement.from_document(document)
        yield LedgerLine(movement.created_at, 0, movement.amount, movement)


def _last_exits(query: Document, span: Span) -> Iterator[LedgerLine]:
    # An entry that was never filled is over without a result.
    for document in _latest("trades", {**query, "exit_price": {"$ne": None}}, CLOSED, span):
        trade = Trade.from_document(document)
        if trade.exit and trade.closed_at:
            yield LedgerLine(trade.closed_at, len(trade.exits), trade.exit.pnl, trade)


def _partial_exits(query: Document, span: Span) -> Iterator[LedgerLine]:
    count = 0
    for low, high in _windows(span):
        if count >= span.limit:
            return
        window = {"$gte": low, "$lt": high}
        # SecantusDB: reads the collection for an $elemMatch alone. MongoDB uses both bounds of the
        # index for an $elemMatch only.
        chosen = {"partial_exits.time": window, "partial_exits": {"$elemMatch": {"time": window}}}
        hint = use_index(*EXITED)
        for document in collection("trades").find({**query, **chosen}, **hint):
            trade = Trade.from_document(document)
            for number, (exit, time) in enumerate(trade.partial_exits, 1):
                if low <= time < high:
                    count += 1
                    yield LedgerLine(time, number, exit.pnl, trade)


def _latest(name: str, query: Document, index: Sequence[str], span: Span) -> list[Document]:
    """Return at least the newest `limit` documents of a span, all of equal time included."""
    time, hint = index[-1], use_index(*index)
    found = _at(name, query, time, span.before[0], hint)
    for low, high in _windows(span, step=mongo.is_secantus):
        if len(found) >= span.limit:
            break
        window: Document = {**query, time: {"$gte": low, "$lt": high}}
        page = collection(name).find(window, **hint).sort(time, DESCENDING).limit(span.limit)
        documents = list(page)
        if len(documents) == span.limit:
            oldest = documents[-1][time]
            documents = [document for document in documents if document[time] != oldest]
            documents += _at(name, query, time, oldest, hint)
        found += documents
    return found


def _at(
    name: str, query: Document, field: str, time: datetime, hint: Mapping[str, Any]
) -> list[Document]:
    """Return all documents of one time: at most those of one transaction, or a few."""
    return list(collection(name).find({**query, field: time}, **hint))


def _windows(span: Span, *, step: bool = True) -> Iterator[tuple[datetime, datetime]]:
    """Yield ranges of time back to the beginning of the span, each four times the last one."""
    # SecantusDB: reads every match before it sorts and limits. MongoDB takes one range, and stops
    # at the limit.
    high = span.before[0]
    width = FIRST_WINDOW if step else high - span.since
    while high > span.since:
        low = max(high - width, span.since)
        yield low, high
        high = low
        width *= 4
