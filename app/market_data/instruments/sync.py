"""Replace the list of instruments by a newer one.

A sync takes the lease, reads and checks the new list, writes it beside the old one, and
activates it with one write. Until that write, the current list stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter

import pymongo
from bson import ObjectId
from pymongo.errors import PyMongoError

from app.clock import Clock
from app.database.batches import batched
from app.domain.instrument import Instrument
from app.logs import logger
from app.market_data.instruments.registry import Listing, merge, shipped_instruments
from app.models import Alert, InstrumentList, Trade
from app.models.instrument import CHUNK, StoredList

# Two exchanges list more shares than this.
MIN_SHARES = 1_000
# A list with less than this part of the previous shares is incomplete.
MIN_SHARE = 0.5
# How long an unlisted share stays known at least. By then every server has loaded the list that
# bars new trades and alerts in it, so the count of its trades and alerts is final.
UNLISTED_RETENTION = timedelta(days=1)
# A sync that was killed blocks others for this long.
LEASE = timedelta(seconds=60)
RENEWAL_SECONDS = 10

# Maximum seconds for which a request with an unknown symbol waits for the check of the list, and
# for a newer list to load.
CHECK_TIMEOUT_SECONDS = 2
LOAD_TIMEOUT_SECONDS = 30

_LEASE_LOST = "Another sync took over while this one was paused. Its list was discarded."


def read_list(version: object) -> Listing | None:
    """Return the active list; None if it is still `version` or cannot be read now."""
    try:
        with pymongo.timeout(CHECK_TIMEOUT_SECONDS):
            if InstrumentList.generation_in_use() in (None, version):
                return None
        with pymongo.timeout(LOAD_TIMEOUT_SECONDS):
            stored = InstrumentList.load(version)
    except (PyMongoError, LookupError) as error:
        logger.warning("instruments: the list could not be read: %s", type(error).__name__)
        return None
    return Listing(stored.generation, stored.instruments) if stored else None


class SyncRefused(Exception):
    """The new list was not activated; the message gives the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class SyncDiff:
    """The number of instruments by what changed from the previous list to the new one.

    `unlisted` counts all instruments that stay known only for their trades and alerts.
    """

    added: int
    changed: int
    removed: int
    kept: int
    unlisted: int


class SyncLease:
    """The exclusive right of one sync to activate a list."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.generation = ObjectId()
        self.is_over = False
        self._renewed_at = clock.monotonic()

    def renew(self) -> None:
        """Renew the lease if RENEWAL_SECONDS have passed; raise SyncRefused if it was lost."""
        if self.clock.monotonic() - self._renewed_at < RENEWAL_SECONDS:
            return
        if not InstrumentList.keep(self.generation, self.clock.now() + LEASE):
            raise SyncRefused(_LEASE_LOST)
        self._renewed_at = self.clock.monotonic()


@contextmanager
def sync_lease(clock: Clock) -> Iterator[SyncLease]:
    """Hold the lease; raise SyncRefused if another sync has it."""
    lease = SyncLease(clock)
    until = InstrumentList.claim(lease.generation, clock.now(), LEASE)
    if until is not None:
        seconds = max(int((until - clock.now()).total_seconds()), 0) + 1
        raise SyncRefused(
            f"Another sync is running. Wait for it to end; if it was killed, "
            f"try again in {seconds} s."
        )
    try:
        InstrumentList.delete_unused(lease.generation)
        yield lease
    finally:
        if not lease.is_over:
            InstrumentList.release(lease.generation, clock.now())


def publish(
    listed: Iterable[Instrument],
    lease: SyncLease,
    *,
    force: bool = False,
    on_written: Callable[[int], object] = lambda _: None,
) -> SyncDiff:
    """Activate a new list; call `on_written` with the number of instruments of each write.

    Unless forced, raise SyncRefused if the new list is too short or the current one is damaged.
    """
    stored = _load_stored(force)
    old = {instrument.symbol: instrument for instrument in stored.instruments} if stored else {}
    new = {instrument.symbol: instrument for instrument in _sort(listed)}
    if not force:
        _refuse_short(old, new)
    instruments = [*new.values(), *_unlisted(old, new, lease.clock.now())]
    diff = _compare(old, instruments)
    _write(instruments, lease, on_written)
    if not InstrumentList.publish(lease.generation, len(instruments), lease.clock.now()):
        raise SyncRefused(_LEASE_LOST)
    lease.is_over = True
    if stored:
        InstrumentList.delete(stored.generation)
    return diff


def _load_stored(force: bool) -> StoredList | None:
    try:
        return InstrumentList.load()
    except LookupError:
        if force:
            return None
        raise SyncRefused(
            "The current list is damaged: a part of it is missing from the database. Run the sync "
            "with --force to replace it. Instruments that are no longer listed are then forgotten."
        ) from None


def _sort(instruments: Iterable[Instrument]) -> list[Instrument]:
    """Return the instruments by ticker, NSE before BSE."""
    # Two sorts with one key each need less memory than one sort with a tuple for each key.
    by_exchange = sorted(instruments, key=attrgetter("exchange"), reverse=True)
    return sorted(by_exchange, key=attrgetter("ticker"))


def _refuse_short(old: dict[str, Instrument], new: dict[str, Instrument]) -> None:
    shares = sum(not instrument.is_index for instrument in new.values())
    before = sum(instrument.is_listed and not instrument.is_index for instrument in old.values())
    if shares < MIN_SHARES:
        reason = f"a complete one has at least {MIN_SHARES:,}"
    elif shares < before * MIN_SHARE:
        reason = f"the current one has {before:,}"
    else:
        return
    raise SyncRefused(
        f"The list has only {shares:,} shares, and {reason}. Nothing was changed. "
        "If it is correct, run the sync with --force."
    )


def _unlisted(
    old: dict[str, Instrument], new: dict[str, Instrument], at: datetime
) -> list[Instrument]:
    """Return the instruments that left the list but stay known."""
    shipped = {instrument.symbol for instrument in shipped_instruments()}
    gone = [
        replace(instrument, unlisted_at=instrument.unlisted_at or at)
        for symbol, instrument in old.items()
        if symbol not in new and symbol not in shipped
    ]
    return [instrument for instrument in gone if _stays_known(instrument, at)]


def _stays_known(unlisted: Instrument, at: datetime) -> bool:
    assert unlisted.unlisted_at is not None
    return (
        at - unlisted.unlisted_at < UNLISTED_RETENTION
        or Trade.has_active(unlisted.symbol)
        or Alert.any_active(unlisted.symbol)
    )


def _compare(old: dict[str, Instrument], instruments: list[Instrument]) -> SyncDiff:
    before = merge(shipped_instruments(), old.values())
    after = merge(shipped_instruments(), instruments)
    listed = {symbol: instrument for symbol, instrument in after.items() if instrument.is_listed}
    stayed = kept = removed = 0
    for symbol, instrument in before.items():
        if instrument.is_listed:
            stayed += symbol in listed
            removed += symbol not in listed
            kept += instrument == listed.get(symbol)
    return SyncDiff(
        added=len(listed) - stayed,
        changed=stayed - kept,
        removed=removed,
        kept=kept,
        unlisted=len(after) - len(listed),
    )


def _write(
    instruments: list[Instrument], lease: SyncLease, on_written: Callable[[int], object]
) -> None:
    for chunk in batched(instruments, CHUNK):
        InstrumentList.write(lease.generation, chunk)
        lease.renew()
        on_written(len(chunk))
