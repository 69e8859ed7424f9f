"""Things that happen at the same moment, in real threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
SECONDS = 60


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make each call in a thread of its own, all let go together; return their results."""
    barrier = threading.Barrier(len(calls))

    def wait_and(call: Callable[[], T]) -> T:
        barrier.wait(SECONDS)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result(SECONDS) for each in [pool.submit(wait_and, call) for call in calls]]
