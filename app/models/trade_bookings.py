"""What the entries and exits of a portfolio changed in a span of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain

from bson import ObjectId

from app.database import Document, collection
from app.database.hints import use_index
from app.domain.equity import Booking
from app.domain.money import ZERO
from app.domain.position import Position
from app.domain.side import TradeType
from app.domain.trade import TradeStatus
from app.extensions import mongo
from app.models.paging import PASS_SIZE
from app.models.trade_adjustments import read_adjustments

BY_CLOSE = ("user_id", "portfolio_id", "closed_at")
BY_STATUS = ("user_id", "portfolio_id", "status", "number")
# Closed trades that one query reads, and the spans of time of the queries for more of them.
MAX_AT_ONCE = 1_000
FIRST_WINDOW, MAX_WINDOW = timedelta(hours=1), timedelta(days=1)
# A trade may close while this reads.
SLACK = timedelta(minutes=1)
JUST_AFTER = timedelta(milliseconds=1)
FIELDS = {
    **{"symbol": 1, "trade_type": 1, "quantity": 1, "entry_price": 1, "created_at": 1},
    **{"filled_at": 1, "partial_exits": 1, "closed_at": 1, "exit_reason": 1, "pnl": 1},
    "adjustments": 1,
}


def find_bookings(
    user_id: str,
    portfolio_id: ObjectId,
    since: datetime,
    until: datetime,
    *,
    closed_count: int,
    opens: Mapping[str, datetime],
) -> Iterator[Booking]:
    """Yield what the trades of a portfolio booked after `since` and up to `until`, in no order.

    It reads the trades that are open, and those that closed since. `closed_count` is how many did
    so at most. `opens` are the opens of the ex-dates of corporate actions by id: prices are in the
    new units from then on, even if a trade was adjusted later.
    """
    owner: Document = {"user_id": user_id, "portfolio_id": portfolio_id}
    seen: set[ObjectId] = set()
    # A trade that closes in between is found as an open one, and only as that.
    for trade in chain(_find_open(owner), _find_closed(owner, since, until + SLACK, closed_count)):
        if trade["_id"] not in seen:
            seen.add(trade["_id"])
            yield from (each for each in _bookings(trade, opens) if since < each.time <= until)


def _find_open(owner: Document) -> Iterator[Document]:
    query = {**owner, "status": TradeStatus.ACTIVE.value}
    yield from collection("trades").find(query, FIELDS, **use_index(*BY_STATUS))


def _find_closed(
    owner: Document, since: datetime, until: datetime, closed_count: int
) -> Iterator[Document]:
    # SecantusDB: reads every match before it returns the first, so many trades are read in windows
    # of time, which adapt to how many closed in them. MongoDB would take one range.
    is_many = mongo.is_secantus and closed_count > MAX_AT_ONCE
    window = FIRST_WINDOW if is_many else until - since
    while since < until:
        end = min(since + window, until)
        query = {**owner, "closed_at": {"$gt": since, "$lte": end}}
        found = list(collection("trades").find(query, FIELDS, **use_index(*BY_CLOSE)))
        yield from found
        since = end
        window = window / 2 if len(found) > PASS_SIZE else min(window * 2, MAX_WINDOW)


def _bookings(trade: Document, opens: Mapping[str, datetime]) -> Iterator[Booking]:
    """Yield the entry, the exits and the adjustments of a trade; none if it was not entered."""
    if trade.get("entry_price") is None:
        return
    symbol, sign = trade["symbol"], TradeType(trade["trade_type"]).sign
    parts = trade.get("partial_exits", ())
    adjustments = [each for each in read_adjustments(trade) if each.is_of_bracket]
    entry_price, quantity = trade["entry_price"], trade["quantity"]
    if adjustments:
        entry_price = adjustments[0].entry_price_before
        earlier = parts[: adjustments[0].exits]
        quantity = adjustments[0].quantity_before + sum(part["quantity"] for part in earlier)

    def held(quantity: int, price: Decimal, trades: int = 0) -> Position:
        return Position(trades, quantity * sign, quantity * sign * price)

    entered_at = trade.get("filled_at") or trade["created_at"]
    yield Booking(entered_at, symbol, held(quantity, entry_price, 1))
    for number, part in enumerate([*parts, None]):
        for each in (each for each in adjustments if each.exits == number):
            assert each.entry_price is not None
            before = held(each.quantity_before, entry_price)
            entry_price = each.entry_price
            # A price at the open itself is that of the candle before.
            opened_at = opens.get(each.action, each.time) + JUST_AFTER
            change = held(each.quantity, entry_price) + -before
            yield Booking(max(entered_at, min(opened_at, each.time)), symbol, change)
            yield Booking(each.time, symbol, Position(), each.pnl)
        if part:
            yield Booking(part["time"], symbol, -held(part["quantity"], entry_price), part["pnl"])
    if trade.get("exit_reason") is not None:
        rest = trade["quantity"] - sum(part["quantity"] for part in parts)
        booked = sum((part["pnl"] for part in parts), ZERO)
        pnl = trade["pnl"] - booked - sum((each.pnl for each in adjustments), ZERO)
        yield Booking(trade["closed_at"], symbol, -held(rest, entry_price, 1), pnl)
