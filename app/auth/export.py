"""The export of everything about a person, as a stream of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from bson import ObjectId
from pymongo import DESCENDING

from app.auth.verification import find_user
from app.database import Document, collection
from app.database.hints import use_index
from app.models import Inbox, Notification, Portfolio, SecondFactor, User, Watchlists
from app.models.movement import BY_TIME
from app.models.paging import newest_first
from app.services import now
from app.web.schemas import to_json

PAGE = 200
# What a person has no use for: credentials, and how documents are found.
INTERNAL = frozenset(
    {
        *("_id", "password_hash", "key_hash", "secret", "refresh_digest", "used_digests"),
        *("recovery_digests", "last_step", "claim", "claims", "wakes", "due_at", "deliver_at"),
        *("waiting", "trigger_below", "trigger_above", "purge_at", "alert_count", "pending_id"),
        *("portfolio_count", "watchlist_count"),
    }
)


def export_account(user_id: str) -> Iterator[str]:
    """Yield the parts of a JSON object with everything about a user.

    Raises AccountGone at the first part.
    """
    user = find_user(user_id)
    yield '{"exported_at": ' + json.dumps(to_json(now()))
    for name, item in _few(user).items():
        yield f', "{name}": {_dump(item)}'
    for name, items in _many(user_id).items():
        yield f', "{name}": ['
        separator = ""
        for item in items:
            yield separator + _dump(item)
            separator = ", "
        yield "]"
    yield "}"


def _few(user: User) -> dict[str, Any]:
    """Return the data of which a user has little."""
    user_id = user.client_id
    inbox = Inbox.find(user_id)
    factor = SecondFactor.find_confirmed(user_id)
    return {
        "account": _read("users", {"client_id": user_id})[0],
        "second_factor": {"confirmed_at": factor.confirmed_at} if factor else None,
        "preferences": inbox.preferences.to_document() if inbox else None,
        "portfolios": _read("portfolios", {"user_id": user_id}),
        "sessions": _read("sessions", {"user_id": user_id}),
        "watchlists": [asdict(watchlist) for watchlist in Watchlists.find(user_id)],
        "api_keys": _read("api_keys", {"user_id": user_id}),
        "webhooks": _read("webhooks", {"user_id": user_id}),
    }


def _many(user_id: str) -> dict[str, Iterable[Document]]:
    """Return iterators over the data of which a user may have much, newest first."""
    user = {"user_id": user_id}
    portfolios, inbox = Portfolio.find_all(user_id), Inbox.find(user_id)
    last_seq = Notification.last_seq(user_id, inbox.event_seq if inbox else 0)
    number, seq = ("user_id", "status", "number"), ("user_id", "is_read", "seq")
    return {
        "trades": chain.from_iterable(map(_trades, portfolios)),
        "movements": chain.from_iterable(map(_movements, portfolios)),
        "alerts": _pages("alerts", user, number, User.last_alert_number(user_id)),
        "notifications": _pages("notifications", user, seq, last_seq),
    }


def _trades(portfolio: Portfolio) -> Iterator[Document]:
    owner = {"user_id": portfolio.user_id, "portfolio_id": portfolio.id}
    number = ("user_id", "portfolio_id", "status", "number")
    return _pages("trades", owner, number, portfolio.trade_count)


def _movements(portfolio: Portfolio) -> Iterator[Document]:
    query = {"user_id": portfolio.user_id, "portfolio_id": portfolio.id}
    found = collection("movements").find(query, **use_index(*BY_TIME))
    yield from found.sort("created_at", DESCENDING)


def _read(name: str, query: Document) -> list[Document]:
    return list(collection(name).find(query))


def _pages(name: str, owner: Document, index: Sequence[str], newest: int) -> Iterator[Document]:
    below = newest + 1
    while page := newest_first(name, owner, index, below=below, limit=PAGE):
        yield from page
        below = page[-1][index[-1]]


def _dump(value: Any) -> str:
    return json.dumps(to_json(_public(value)))


def _public(value: Any) -> Any:
    """Return a value of the database without what is internal, its `_id` as `id`."""
    match value:
        case Mapping():
            shown = {name: _public(item) for name, item in value.items() if name not in INTERNAL}
            return {"id": str(value["_id"]), **shown} if "_id" in value else shown
        case list():
            return [_public(item) for item in value]
        case ObjectId():
            return str(value)
        case _:
            return value
