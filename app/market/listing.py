"""Putting a new list of instruments in place of the one in use.

A sync takes the turn, reads the new list, checks it, writes it beside the old one, and puts it
in use with one write. Whatever happens before that write, the list in use is as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter

from bson import ObjectId

from app.database.batches import batched
from app.domain.instrument import Instrument
from app.market_data.instruments.registry import merge, shipped_instruments
from app.models import Alert, InstrumentList, Trade
from app.models.instrument import CHUNK, StoredList
from app.services import now

# Fewer shares than these are no list of two exchanges.
MIN_SHARES = 1_000
# A list of less than this share of the last one has lost something.
MIN_SHARE = 0.5
# So long a share that is no longer listed stays known at least: by then every server has the
# list that tells it to open no trade in it, and to set no alert, so that none can come after
# the last was counted.
KNOWN_AFTERWARDS = timedelta(days=1)
# A sync that was killed keeps others waiting so long.
TURN = timedelta(seconds=60)
KEEP_SECONDS = 10


class SyncRefused(Exception):
    """The new list was not put in use; the message says why, and what can be done."""


@dataclass(frozen=True, slots=True)
class SyncDiff:
    """How a new list differs from the one before, in instruments.

    `unlisted` are known for their trades and alerts, and were removed by this sync or one before.
    """

    added: int
    changed: int
    removed: int
    kept: int
    unlisted: int


class SyncLease:
    """One sync's turn to make a list: no other can put one in use meanwhile."""

    def __init__(self) -> None:
        self.generation = ObjectId()
        self.is_over = False
        self._kept_at = time.monotonic()

    def keep(self) -> None:
        """Say now and then that this sync is still at work; SyncRefused where it lost its turn."""
        if time.monotonic() - self._kept_at < KEEP_SECONDS:
            return
        if not InstrumentList.keep(self.generation, now() + TURN):
            raise SyncRefused(_OVERTAKEN)
        self._kept_at = time.monotonic()


_OVERTAKEN = "Another sync took over while this one stood still. Nothing of this one is in use."


@contextmanager
def sync_lease() -> Iterator[SyncLease]:
    """Take the turn to make a list; raise SyncRefused where another sync has it."""
    turn = SyncLease()
    until = InstrumentList.claim(turn.generation, now(), TURN)
    if until is not None:
        seconds = max(int((until - now()).total_seconds()), 0) + 1
        raise SyncRefused(
            f"Another sync is running. Wait for it to end; if it was killed, "
            f"try again in {seconds} s."
        )
    try:
        InstrumentList.delete_unused(turn.generation)
        yield turn
    finally:
        if not turn.is_over:
            InstrumentList.release(turn.generation, now())


def publish_list(
    listed: Iterable[Instrument],
    turn: SyncLease,
    *,
    force: bool = False,
    on_written: Callable[[int], object] = lambda _: None,
) -> SyncDiff:
    """Put a new list in use; `on_written` is told how many instruments were written.

    Raises SyncRefused for a list too short to be whole, and where the one in use is not whole,
    unless it is forced.
    """
    stored = _load_stored(force)
    former = {each.symbol: each for each in stored.instruments} if stored else {}
    new = {each.symbol: each for each in _in_order(listed)}
    if not force:
        _refuse_short(former, new)
    unlisted = _unlisted(former, new, now())
    changes = _compare(former, [*new.values(), *unlisted])
    _write([*new.values(), *unlisted], turn, on_written)
    if not InstrumentList.publish(turn.generation, len(new) + len(unlisted), now()):
        raise SyncRefused(_OVERTAKEN)
    turn.is_over = True
    if stored:
        InstrumentList.delete(stored.generation)
    return changes


def _load_stored(force: bool) -> StoredList | None:
    try:
        return InstrumentList.load()
    except LookupError:
        if force:
            return None
        raise SyncRefused(
            "The list in use is damaged: a part of it is missing from the database. Run the sync "
            "with --force to replace it. What was no longer listed is then not known any more."
        ) from None


def _in_order(instruments: Iterable[Instrument]) -> list[Instrument]:
    """Return them by ticker, the one on NSE first."""
    # Twice, by one thing each: a list as long as can be is sorted with the least memory so.
    by_exchange = sorted(instruments, key=attrgetter("exchange"), reverse=True)
    return sorted(by_exchange, key=attrgetter("ticker"))


def _refuse_short(former: dict[str, Instrument], new: dict[str, Instrument]) -> None:
    shares = sum(not each.is_index for each in new.values())
    before = sum(each.is_listed and not each.is_index for each in former.values())
    if shares < MIN_SHARES:
        reason = f"a whole one has {MIN_SHARES:,} at least"
    elif shares < before * MIN_SHARE:
        reason = f"the one in use has {before:,}"
    else:
        return
    raise SyncRefused(
        f"The list has only {shares:,} shares, and {reason}. Nothing was changed. "
        "If it is right all the same, run the sync with --force."
    )


def _unlisted(
    former: dict[str, Instrument], new: dict[str, Instrument], at: datetime
) -> list[Instrument]:
    """Return what has left the list and is to stay known."""
    shipped = {each.symbol for each in shipped_instruments()}
    gone = [
        replace(each, unlisted_at=each.unlisted_at or at)
        for symbol, each in former.items()
        if symbol not in new and symbol not in shipped
    ]
    return [each for each in gone if _stays_known(each, at)]


def _stays_known(gone: Instrument, at: datetime) -> bool:
    assert gone.unlisted_at is not None
    return (
        at - gone.unlisted_at < KNOWN_AFTERWARDS
        or Trade.has_active(gone.symbol)
        or Alert.any_active(gone.symbol)
    )


def _compare(former: dict[str, Instrument], instruments: list[Instrument]) -> SyncDiff:
    """Compare the instruments as they were known before and as they will be."""
    before = merge(shipped_instruments(), former.values())
    after = merge(shipped_instruments(), instruments)
    listed = {symbol: each for symbol, each in after.items() if each.is_listed}
    stayed = kept = removed = 0
    for symbol, each in before.items():
        if each.is_listed:
            stayed += symbol in listed
            removed += symbol not in listed
            kept += each == listed.get(symbol)
    return SyncDiff(
        added=len(listed) - stayed,
        changed=stayed - kept,
        removed=removed,
        kept=kept,
        unlisted=len(after) - len(listed),
    )


def _write(
    instruments: list[Instrument], turn: SyncLease, on_written: Callable[[int], object]
) -> None:
    for chunk in batched(instruments, CHUNK):
        InstrumentList.write(turn.generation, chunk)
        turn.keep()
        on_written(len(chunk))
