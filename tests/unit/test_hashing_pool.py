"""Password hashes: a bounded number runs, a bounded number waits, the rest is refused."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest

from app.concurrency import HashingPool
from app.domain.errors import ServerBusy

THREADS = 2
CAPACITY = 10


def test_hashes_beyond_the_capacity_are_refused_and_the_others_computed() -> None:
    pool = HashingPool(THREADS, CAPACITY - THREADS)
    release = threading.Event()
    lock = threading.Lock()
    running = most = 0

    def work() -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert release.wait(30)
        with lock:
            running -= 1
        return "hash"

    with ThreadPoolExecutor(CAPACITY + 5) as clients:
        waiting = [clients.submit(pool.run, work) for _ in range(CAPACITY + 5)]
        refused = list(itertools.islice(as_completed(waiting, timeout=30), 5))
        release.set()
        results = [future.result(30) for future in waiting if future not in refused]

    assert all(isinstance(future.exception(), ServerBusy) for future in refused)
    assert results == ["hash"] * CAPACITY
    assert most == THREADS


def test_a_failed_hash_frees_its_slot() -> None:
    def fail() -> None:
        raise ValueError("no hash")

    pool = HashingPool(THREADS, CAPACITY - THREADS)

    for _ in range(CAPACITY + 1):
        with pytest.raises(ValueError, match="no hash"):
            pool.run(fail)
