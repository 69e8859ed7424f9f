"""Many writes in chunks, one transaction each: no fault of one holds up the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from app.database.transactions import is_conflict, is_outage, run_transaction
from app.logs import logger

T = TypeVar("T")
E = TypeVar("E")

# Written in one transaction: enough to share its round trips, few enough that it ends well
# within its time and a conflict costs little.
CHUNK = 250


@dataclass(slots=True)
class BatchResult(Generic[T]):
    """What was written, and what kept the rest: a database away, or a fault of their own."""

    written: list[T] = field(default_factory=list)
    outage: PyMongoError | None = None
    fault: Exception | None = None


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items, `size` at a time."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def write_in_batches(
    items: Sequence[T],
    write: Callable[[Sequence[T]], list[T]],
    name: Callable[[T], str],
    meanwhile: Callable[[], object] = lambda: None,
) -> BatchResult[T]:
    """Have `write` write the items, a transaction a chunk; it returns those it wrote.

    A chunk that fails for a reason other than an outage is halved until the culprit stands
    alone, and is logged by its `name`. Between two chunks `meanwhile` is called, for what should
    not wait for all of them; it must not raise.
    """
    outcome: BatchResult[T] = BatchResult()
    pending = list(batched(items, CHUNK))
    while pending:
        chunk = pending.pop(0)
        try:
            outcome.written += write(chunk)
        except Exception as error:
            # Whatever it is: one item at fault must not keep the others from being written.
            away = isinstance(error, PyMongoError) and is_outage(error)
            if len(chunk) > 1 and (not away or is_conflict(error)):
                middle = len(chunk) // 2
                pending[:0] = [chunk[:middle], chunk[middle:]]
            elif isinstance(error, PyMongoError) and away:
                outcome.outage = error
                reason = type(error).__name__
                logger.warning(
                    "could not write %s and %d more: %s", name(chunk[0]), len(chunk) - 1, reason
                )
            else:
                outcome.fault = error
                logger.exception("%s cannot be written", name(chunk[0]))
        if pending:
            meanwhile()
    return outcome


class ClaimLost(Exception):
    """Some of what a transaction was to claim is no longer there to be claimed."""


def write_claimed(
    items: Sequence[T],
    write: Callable[[Sequence[T], ClientSession], list[E]],
    unclaimed: Callable[[Sequence[T]], list[T]],
    *,
    already_committed: Callable[[list[E], ClientSession], bool],
    user_ids: Collection[str],
) -> tuple[Sequence[T], list[E]]:
    """Have `write` claim and write the items in one transaction; return those, and its events.

    `write` raises Overtaken where its guarded updates met fewer than it was given. Then those
    that `unclaimed` still finds are written, if any. run_transaction passes what `write`
    returned to `already_committed`.
    """
    # Looked for only after a transaction was overtaken: nearly none is, and to look first would
    # cost each of them a question.
    while items:
        claimed = items
        try:
            events = run_transaction(
                partial(write, claimed), already_committed=already_committed, user_ids=user_ids
            )
        except ClaimLost:
            items = unclaimed(claimed)
        else:
            return claimed, events
    return [], []
