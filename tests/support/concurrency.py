"""Calls at the same moment, in real threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
SECONDS = 60


def run_concurrently(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make each call in its own thread, all released together; return their results."""
    barrier = threading.Barrier(len(calls))

    def wait_and(call: Callable[[], T]) -> T:
        barrier.wait(SECONDS)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result(SECONDS) for each in [pool.submit(wait_and, call) for call in calls]]


def run_in_thread(call: Callable[[], T]) -> T:
    """Make the call in another thread, outside the context and transaction of this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(SECONDS)


class Worker(Protocol):
    def run(self) -> None: ...

    def stop(self) -> None: ...


@contextmanager
def running(worker: Worker) -> Iterator[threading.Thread]:
    """Run a worker of the server in its own thread until the block ends."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield thread
    finally:
        worker.stop()
        thread.join(SECONDS)
        assert not thread.is_alive()
