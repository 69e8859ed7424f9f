"""Reading together: what is asked for while a read is under way is read in one by the next.

An answer is never older than the question. A read takes along those who asked before it began;
whoever asks later waits for the one after it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

# For so long a read waits for the one before it, and gathers more. A database that hangs should
# not be waited for twice.
TIMEOUT_SECONDS = 0.1


@dataclass(slots=True)
class _Batch(Generic[T]):
    keys: set[str] = field(default_factory=set)
    found: Mapping[str, T] = field(default_factory=dict)
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


class ReadTogether(Generic[T]):
    def __init__(self, find: Callable[[Collection[str]], Mapping[str, T]]) -> None:
        """`find` reads what there is of some keys."""
        self._find = find
        self._lock = threading.Lock()
        self._reading: _Batch[T] | None = None
        self._gathering: _Batch[T] | None = None

    def read(self, key: str) -> T | None:
        """Return what there is of a key, as of some time after the call; None for nothing.

        Others may be given the same: it is not to be changed. Raises what `find` raises.
        """
        while True:
            with self._lock:
                batch = self._gathering
                leads = batch is None
                if batch is None:
                    batch = self._gathering = _Batch()
                batch.keys.add(key)
                before = self._reading
            if leads:
                if before is not None:
                    before.done.wait(TIMEOUT_SECONDS)
                self._run(batch)
            else:
                batch.done.wait()
            if batch.error is None:
                return batch.found.get(key)
            if isinstance(batch.error, Exception):
                raise batch.error
            # Whoever read was killed, which says nothing about what was asked.

    def _run(self, batch: _Batch[T]) -> None:
        with self._lock:
            # Whoever asks from here on is too late for this read.
            self._gathering = None
            self._reading = batch
        try:
            batch.found = self._find(batch.keys)
        except BaseException as error:
            batch.error = error
            raise
        finally:
            with self._lock:
                if self._reading is batch:
                    self._reading = None
            batch.done.set()
