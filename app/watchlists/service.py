"""Creating, changing and deleting watchlists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from app.database.transactions import run_transaction
from app.domain.errors import AccountGone, Conflict, NotFound, ResultUnconfirmed
from app.domain.watchlist import MAX_LISTS, MAX_SYMBOLS, Watchlist, is_same_name, moved
from app.models import IdempotencyKey, IdempotencyRecord, User, Watchlists
from app.models.watchlist import from_document, to_document
from app.services import now, services


def list_watchlists(user_id: str) -> list[Watchlist]:
    """Return the user's watchlists in the user's order."""
    return Watchlists.find(user_id)


def get_watchlist(user_id: str, watchlist_id: str) -> Watchlist:
    """Return a watchlist of the user; raise NotFound if there is none."""
    return _find(Watchlists.find(user_id), watchlist_id)


def create_watchlist(
    user_id: str, name: str, symbols: Iterable[str], key: IdempotencyKey | None
) -> Watchlist:
    """Create a watchlist, the last one; for a retry of `key`, return it as it was created.

    Raises InvalidRequest for an unknown symbol, Conflict for a name that another list has or one
    list too many, AccountGone.
    """
    if earlier := _created_earlier(key):
        return earlier
    canonical = _canonical(symbols)
    time = now()
    created = Watchlist(str(ObjectId()), name, canonical, time, time)

    def write() -> Watchlist:
        if earlier := _created_earlier(key):
            return earlier
        # Locks the user's document: lists are created one by one, and none of a deleted user.
        if not User.count_watchlist(user_id):
            raise AccountGone
        watchlists = Watchlists.find(user_id)
        _refuse_too_many(watchlists)
        _refuse_taken_name(watchlists, created)
        Watchlists.save(user_id, [*watchlists, created])
        if key:
            IdempotencyRecord.save(key, {"watchlist": to_document(created)}, time)
        return created

    try:
        return run_transaction(
            write,
            already_committed=lambda result: result in Watchlists.find(user_id),
            user_ids=[user_id],
        )
    except DuplicateKeyError:
        # Another process handled the same request, or one with the same key, at the same time.
        if earlier := _created_earlier(key):
            return earlier
        raise ResultUnconfirmed from None


def change_watchlist(
    user_id: str,
    watchlist_id: str,
    *,
    name: str | None,
    symbols: Sequence[str] | None,
    position: int | None,
) -> Watchlist:
    """Change what is given, and return the watchlist as it then is.

    Raises NotFound, InvalidRequest for an unknown symbol, Conflict for a name that another has.
    """
    canonical = None if symbols is None else _canonical(symbols)

    def change(watchlist: Watchlist) -> Watchlist:
        if name is None and canonical is None:
            return watchlist
        kept = watchlist.symbols if canonical is None else canonical
        return replace(watchlist, name=name or watchlist.name, symbols=kept, updated_at=now())

    return _change(user_id, watchlist_id, change, position)


def add_symbol(user_id: str, watchlist_id: str, symbol: str, position: int | None) -> Watchlist:
    """Add a symbol, or move it to a position from 1; return the watchlist as it then is.

    Raises NotFound, InvalidRequest for an unknown symbol, Conflict if the list is full.
    """
    canonical = services().instruments.get_ordered(symbol).symbol

    def change(watchlist: Watchlist) -> Watchlist:
        changed = watchlist.with_symbol(canonical, position, now())
        if len(changed.symbols) > MAX_SYMBOLS:
            raise Conflict(
                f"The list has {MAX_SYMBOLS} symbols, which is the maximum. Remove one first.",
                code="watchlist_full",
                details={"limit": MAX_SYMBOLS},
            )
        return changed

    return _change(user_id, watchlist_id, change)


def remove_symbol(user_id: str, watchlist_id: str, symbol: str) -> Watchlist:
    """Remove a symbol, if the watchlist has it; raise NotFound for an unknown watchlist."""
    canonical = services().instruments.get(symbol).symbol
    return _change(user_id, watchlist_id, lambda each: each.without_symbol(canonical, now()))


def delete_watchlist(user_id: str, watchlist_id: str) -> None:
    """Delete a watchlist; raise NotFound for an unknown one."""

    def write() -> None:
        watchlists = Watchlists.find(user_id)
        _find(watchlists, watchlist_id)
        Watchlists.save(user_id, [each for each in watchlists if each.id != watchlist_id])

    def is_deleted(_: None) -> bool:
        return all(each.id != watchlist_id for each in Watchlists.find(user_id))

    run_transaction(write, already_committed=is_deleted, user_ids=[user_id])


def _change(
    user_id: str,
    watchlist_id: str,
    change: Callable[[Watchlist], Watchlist],
    position: int | None = None,
) -> Watchlist:
    def write() -> Watchlist:
        watchlists = Watchlists.find(user_id)
        watchlist = _find(watchlists, watchlist_id)
        changed = change(watchlist)
        _refuse_taken_name(watchlists, changed)
        after = [changed if each is watchlist else each for each in watchlists]
        Watchlists.save(user_id, moved(after, changed, position) if position else after)
        return changed

    return run_transaction(write, user_ids=[user_id])


def _find(watchlists: Iterable[Watchlist], watchlist_id: str) -> Watchlist:
    for watchlist in watchlists:
        if watchlist.id == watchlist_id:
            return watchlist
    raise NotFound("You have no watchlist with this id.", code="watchlist_not_found")


def _canonical(names: Iterable[str]) -> tuple[str, ...]:
    instruments = services().instruments
    return tuple(dict.fromkeys(instruments.get_ordered(name).symbol for name in names))


def _created_earlier(key: IdempotencyKey | None) -> Watchlist | None:
    record = IdempotencyRecord.find(key) if key else None
    return from_document(record["watchlist"]) if record else None


def _refuse_too_many(watchlists: Sequence[Watchlist]) -> None:
    if len(watchlists) >= MAX_LISTS:
        raise Conflict(
            f"You have {MAX_LISTS} watchlists, which is the maximum. Delete one first.",
            code="too_many_watchlists",
            details={"limit": MAX_LISTS},
        )


def _refuse_taken_name(watchlists: Iterable[Watchlist], watchlist: Watchlist) -> None:
    for other in watchlists:
        if other.id != watchlist.id and is_same_name(other.name, watchlist.name):
            raise Conflict(
                f"You have another watchlist with the name {other.name}.",
                code="watchlist_name_taken",
                details={"watchlist_id": other.id},
            )
