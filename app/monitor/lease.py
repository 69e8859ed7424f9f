"""The leases of this worker: which shares of the symbols it settles."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from bson import ObjectId

from app.database.batches import LeaseLost
from app.models import SHARES, ShareLease, share_of
from app.monitor.division import divide
from app.processes import describe_process, is_dead


@dataclass(frozen=True, slots=True)
class Term:
    """The shares that a worker holds, each with the epoch of its lease.

    Without a holder it needs no lease, and has all shares.
    """

    holder: ObjectId | None = None
    epochs: Mapping[int, int] = field(default_factory=lambda: dict.fromkeys(range(SHARES), 0))

    def covers(self, symbol: str) -> bool:
        """Return whether the worker holds the share of a symbol."""
        return share_of(symbol) in self.epochs

    def fence(self, symbols: Collection[str]) -> None:
        """Let no other worker take these symbols before the end of the transaction.

        Raises LeaseLost if one of them is no longer held at its epoch.
        """
        if self.holder is None:
            return
        epochs = {number: self.epochs.get(number) for number in map(share_of, symbols)}
        if not ShareLease.confirm(epochs, self.holder):
            raise LeaseLost


class Lease:
    """Takes and renews leases for one worker.

    The workers of a database divide the shares evenly. Each takes what is free, asks the others
    for what it lacks, and releases what they ask for. It takes nothing from a living worker.
    """

    def __init__(self, seconds: float, *, is_alone: bool = False) -> None:
        """Hold a share for `seconds` after its last renewal.

        With `is_alone` all earlier holders are known to be dead.
        """
        self._seconds = seconds
        self._process = describe_process()
        self._is_alone = is_alone
        self._has_ended = False
        self._holder = ObjectId()
        self.term = Term(self._holder, {})
        # The held shares that other workers ask for.
        self.wanted: frozenset[int] = frozenset()
        # Seconds from the last renewal until a lease of another worker expires.
        self.next_expiry = inf

    def renew(self) -> Term:
        """Renew what this worker holds, take what is free, and return what it holds now.

        One command while this worker holds all shares and is the only one. Raises PyMongoError.
        """
        if not self._extend(only_unwanted=True):
            self.extend()
        elif len(self.term.epochs) == SHARES:
            self.wanted, self.next_expiry = frozenset(), inf
            return self.term
        leases = ShareLease.find_all()
        self._adopt(leases if self._has_ended else self._take(leases))
        return self.term

    def extend(self) -> bool:
        """Renew what this worker holds; return whether it still holds all of it."""
        return self._extend(only_unwanted=False)

    def release(self, numbers: Collection[int]) -> None:
        """Free some shares for others."""
        ShareLease.release(numbers, self._holder)
        kept = {each: epoch for each, epoch in self.term.epochs.items() if each not in numbers}
        self.term = Term(self._holder, kept)
        self.wanted -= frozenset(numbers)

    def end(self) -> None:
        """Free all shares, and take none from now on."""
        self._has_ended = True
        if self.term.epochs:
            self.release(list(self.term.epochs))

    def _extend(self, *, only_unwanted: bool) -> bool:
        epochs = self.term.epochs
        if not epochs:
            return True
        renewed = ShareLease.renew(epochs, self._holder, self._seconds, only_unwanted=only_unwanted)
        return renewed == len(epochs)

    def _take(self, leases: Sequence[ShareLease]) -> Sequence[ShareLease]:
        dead = {lease.holder for lease in leases if lease.holder and self._is_dead(lease)}
        plan = divide(leases, self._holder, dead, self._seconds)
        if plan.take:
            ShareLease.take(
                plan.take,
                self._holder,
                seconds=self._seconds,
                process=self._process,
                dead=dead,
            )
            leases = ShareLease.find_all()
        if plan.ask_for:
            ShareLease.ask_for(plan.ask_for, self._holder)
        self._is_alone = False
        return leases

    def _is_dead(self, lease: ShareLease) -> bool:
        return lease.holder != self._holder and (self._is_alone or is_dead(lease.process))

    def _adopt(self, leases: Sequence[ShareLease]) -> None:
        mine = [lease for lease in leases if lease.holder == self._holder and lease.remaining > 0]
        self.term = Term(self._holder, {lease.number: lease.epoch for lease in mine})
        self.wanted = frozenset(lease.number for lease in mine if lease.wanted_by)
        others = [lease.remaining for lease in leases if lease.holder not in (None, self._holder)]
        self.next_expiry = min((each for each in others if each > 0), default=inf)
