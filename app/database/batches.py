"""Many writes in batches, one transaction each: a batch that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from flask import current_app
from pymongo.errors import PyMongoError

from app.database.transactions import is_conflict, is_outage, name_error
from app.logs import logger

T = TypeVar("T")

# Writes in one transaction: enough to share its round trips, few enough to end well within its
# timeout and to make a conflict cheap.
BATCH_SIZE = 250


class ClaimLost(Exception):
    """A document of the batch is no longer in the state that the batch would change."""


@dataclass(frozen=True, slots=True)
class BatchResult(Generic[T]):
    """What one batch wrote, or the error that kept its items from being written."""

    written: Sequence[T] = ()
    error: Exception | None = None

    @property
    def outage(self) -> PyMongoError | None:
        """The error, if the database was unavailable: the items can be written later."""
        away = isinstance(self.error, PyMongoError) and is_outage(self.error)
        return self.error if away else None  # type: ignore[return-value]  # narrowed just above


def batch_size() -> int:
    """Return the writes per transaction: WRITE_BATCH_SIZE of the application, or BATCH_SIZE."""
    return int(current_app.config.get("WRITE_BATCH_SIZE", BATCH_SIZE))


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items, `size` at a time."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def write_in_batches(
    items: Sequence[T], write: Callable[[Sequence[T]], object], name: Callable[[T], str]
) -> Iterator[BatchResult[T]]:
    """Have `write` write the items, a transaction for each batch; yield each result.

    `write` raises ClaimLost if an item of the batch cannot be claimed. A batch that fails for a
    reason other than an outage is halved until the item at fault is alone; that one is logged by
    its `name`, or skipped if it was claimed elsewhere.
    """
    pending = list(batched(items, batch_size()))
    while pending:
        batch = pending.pop(0)
        try:
            write(batch)
        except ClaimLost:
            pending[:0] = _halves(batch)
        except Exception as error:
            # One item at fault must not keep the others from being written.
            result: BatchResult[T] = BatchResult(error=error)
            if len(batch) > 1 and (result.outage is None or is_conflict(error)):
                pending[:0] = _halves(batch)
            else:
                _log_failure(name(batch[0]), len(batch), result)
                yield result
        else:
            yield BatchResult(batch)


def all_written(results: Iterable[BatchResult[T]]) -> list[T]:
    """Return what all the batches wrote; raise the first error, after the last batch."""
    done = list(results)
    if error := next((result.error for result in done if result.error), None):
        raise error
    return [item for result in done for item in result.written]


def _halves(batch: Sequence[T]) -> list[Sequence[T]]:
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]] if middle else []


def _log_failure(name: str, count: int, result: BatchResult[T]) -> None:
    if result.outage:
        logger.warning(
            "could not write %s and %d more: %s", name, count - 1, name_error(result.outage)
        )
    else:
        logger.error("%s cannot be written", name, exc_info=result.error)
