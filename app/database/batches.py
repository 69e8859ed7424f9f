"""Many writes in batches, one transaction each.

A batch that fails stops no other user's, and what is written of one user is written in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from flask import current_app
from pymongo.errors import OperationFailure, PyMongoError

from app.database.transactions import WriteConflict, conflicts_limited, is_outage, name_error
from app.logs import logger


class Owned(Protocol):
    """An item of a batch: it belongs to a user."""

    @property
    def user_id(self) -> str: ...


T = TypeVar("T", bound=Owned)
Item = TypeVar("Item")
# Called at the end of a transaction with the symbols of its batch: raises LeaseLost if another
# process has taken them over, and makes the transaction fail if one does before its commit. Last,
# so that a process that is killed or paused holds up no takeover.
Fence = Callable[[Collection[str]], None]

# How long a batch of several users retries conflicts: what a locked user may cost the others.
CONFLICT_SECONDS = 1.0
# MongoDB's TransactionTooLargeForCache.
TOO_LARGE_FOR_CACHE = 388
# Writes in one transaction: enough to share its round trips, few enough to end well within its
# timeout and to make a conflict cheap.
BATCH_SIZE = 250


class ClaimLost(Exception):
    """A document of the batch is no longer in the state that the batch would change."""


class LeaseLost(Exception):
    """Another process has taken over what the batch belongs to."""


@dataclass(frozen=True, slots=True)
class BatchResult(Generic[T]):
    """What one batch wrote, or the error that kept its items from being written."""

    written: Sequence[T] = ()
    error: Exception | None = None

    @property
    def outage(self) -> PyMongoError | None:
        """The error, if the database was unavailable: the items can be written later."""
        if isinstance(self.error, PyMongoError) and is_outage(self.error):
            return self.error
        return None


def batch_size() -> int:
    """Return the writes per transaction: WRITE_BATCH_SIZE of the application, or BATCH_SIZE."""
    return int(current_app.config.get("WRITE_BATCH_SIZE", BATCH_SIZE))


def batched(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield the items, `size` at a time."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def write_in_batches(
    parts: Iterable[Sequence[T]],
    write: Callable[[Sequence[T]], Sequence[T]],
    name: Callable[[T], str],
    *,
    conflict_seconds: float = CONFLICT_SECONDS,
) -> Iterator[BatchResult[T]]:
    """Have `write` write the items, a transaction for each batch; yield each result.

    No batch has items of two `parts`. `write` returns what it wrote. It raises ClaimLost if an item
    of the batch cannot be claimed, and LeaseLost if nothing more may be written: this is raised to
    the caller.

    The items of a user are written in their order: after an outage no later one of the batch's
    users is, and the caller tries all of them again. A batch that fails for another reason is
    halved until the item at fault is alone, which is logged by its `name`, or skipped if it was
    claimed elsewhere. One that conflicts with other transactions for `conflict_seconds` is halved
    until the user whose documents are locked is alone.
    """
    queue = _Queue(part for items in parts for part in batched(items, batch_size()))
    while batch := queue.pop():
        try:
            with conflicts_limited(conflict_seconds):
                written = write(batch)
        except LeaseLost:
            raise
        except Exception as error:
            result: BatchResult[T] = BatchResult(error=error)
            if not queue.retry(batch, result):
                _log_failure(name(batch[0]), len(batch), result)
                yield result
        else:
            yield BatchResult(written)


class _Queue(Generic[T]):
    """Batches to write: those of one user in their order, whatever is postponed or dropped."""

    def __init__(self, batches: Iterable[Sequence[T]]) -> None:
        self._batches = deque(batches)
        self._postponed: deque[Sequence[T]] = deque()
        self._dropped_users: set[str] = set()

    def pop(self) -> Sequence[T]:
        """Return the next batch, an empty one at the end."""
        while self._batches or self._postponed:
            if not self._batches:
                self._batches, self._postponed = self._postponed, deque()
            batch = _without(self._batches.popleft(), self._dropped_users)
            waiting = {item.user_id for each in self._postponed for item in each}
            ready = _without(batch, waiting)
            if len(ready) < len(batch):
                self._postponed.append([item for item in batch if item.user_id in waiting])
            if ready:
                return ready
        return ()

    def retry(self, batch: Sequence[T], result: BatchResult[T]) -> bool:
        """Queue the halves of a batch that failed; return False if it has failed for good.

        After an outage, no more items of its users are written.
        """
        error, outage = result.error, result.outage
        if isinstance(error, WriteConflict) and (halves := _halves_by_user(batch)):
            # Last, as the later items of their users: a locked user delays no other.
            self._postponed.extend(halves)
            return True
        is_divisible = len(batch) > 1 and (outage is None or _is_too_large(outage))
        if is_divisible or isinstance(error, ClaimLost):
            # Next. Of a single item there are none: it was claimed elsewhere.
            self._batches.extendleft(reversed(_halves(batch)))
            return True
        if outage:
            self._dropped_users.update(item.user_id for item in batch)
        return False


def all_written(results: Iterable[BatchResult[T]]) -> list[T]:
    """Return what all the batches wrote; raise the first error, after the last batch."""
    return _written(results, lambda result: result.error)


def written_without_outage(results: Iterable[BatchResult[T]]) -> list[T]:
    """Return what all the batches wrote, without what failed for a reason that is logged.

    Raises the first outage, after the last batch: a locked user holds up no other one.
    """
    return _written(results, lambda result: result.outage)


def _written(
    results: Iterable[BatchResult[T]], fault: Callable[[BatchResult[T]], Exception | None]
) -> list[T]:
    done = list(results)
    if error := next(filter(None, map(fault, done)), None):
        raise error
    return [item for result in done for item in result.written]


def _without(batch: Sequence[T], users: Collection[str]) -> Sequence[T]:
    return [item for item in batch if item.user_id not in users] if users else batch


def _halves(batch: Sequence[T]) -> list[Sequence[T]]:
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]] if middle else []


def _halves_by_user(batch: Sequence[T]) -> list[Sequence[T]]:
    """Return two parts without a common user; none if all items have the same user."""
    users = sorted({item.user_id for item in batch})
    first = set(users[: len(users) // 2])
    parts = [
        [item for item in batch if item.user_id in first],
        [item for item in batch if item.user_id not in first],
    ]
    return list(filter(None, parts)) if first else []


def _is_too_large(error: PyMongoError) -> bool:
    return isinstance(error, OperationFailure) and error.code == TOO_LARGE_FOR_CACHE


def _log_failure(name: str, count: int, result: BatchResult[T]) -> None:
    if result.outage:
        logger.warning(
            "could not write %s and %d more: %s", name, count - 1, name_error(result.outage)
        )
    else:
        logger.error("%s cannot be written", name, exc_info=result.error)
