"""How the workers of a database divide the shares: evenly, and taking none from a living one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import ceil

from bson import ObjectId

from app.models import ShareLease


@dataclass(frozen=True, slots=True)
class Plan:
    """The shares that a worker takes now, and those that it asks their holders for."""

    take: Sequence[int]
    ask_for: Sequence[int]


def divide(
    leases: Sequence[ShareLease],
    worker: ObjectId,
    dead: Collection[ObjectId],
    reserved_seconds: float,
) -> Plan:
    """Return what a worker does for its part of the shares.

    A share that was released for another worker is reserved for it, for `reserved_seconds`.
    """
    held = [
        lease
        for lease in leases
        if lease.holder and lease.remaining > 0 and lease.holder not in dead
    ]
    # The others ask for it no longer: they died before they took it.
    lapsed = [lease for lease in leases if lease.remaining < -reserved_seconds]
    asking = {lease.wanted_by for lease in leases if lease.wanted_by and lease not in lapsed}
    workers = len({lease.holder for lease in held} | asking | {worker})
    mine = sum(lease.holder == worker for lease in held)
    free = [
        lease.number
        for lease in leases
        if lease not in held and (lease.wanted_by in (None, worker) or lease in lapsed)
    ]
    take = free[: max(ceil(len(leases) / workers) - mine, 0)]
    asked = sum(lease.wanted_by == worker for lease in held)
    return Plan(take, _requests(held, worker, mine + len(take) + asked))


def _requests(held: Sequence[ShareLease], worker: ObjectId, mine: int) -> Sequence[int]:
    """Return the shares that bring a worker with `mine` level with those that hold more."""
    others = [lease for lease in held if lease.holder != worker and not lease.wanted_by]
    counts = Counter(lease.holder for lease in others)
    chosen: list[int] = []
    while counts:
        holder, count = counts.most_common(1)[0]
        if count - 1 <= mine + len(chosen):
            break
        lease = next(each for each in others if each.holder == holder)
        others.remove(lease)
        counts[holder] -= 1
        chosen.append(lease.number)
    return chosen
