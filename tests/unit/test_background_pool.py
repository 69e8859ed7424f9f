"""Work in the background, with a maximum at a time."""

from __future__ import annotations

import threading

import pytest

from app.concurrency import BackgroundPool, in_background


def test_a_result_and_an_error_reach_the_caller() -> None:
    assert in_background(divmod, 7, 2).result(10) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        BackgroundPool(1).submit(divmod, 7, 0).result(10)


def test_no_more_than_the_maximum_runs_at_a_time() -> None:
    pool = BackgroundPool(2)
    running: set[int] = set()
    maxima: list[int] = []
    lock = threading.Lock()
    both = threading.Barrier(2, timeout=10)

    def work(number: int) -> int:
        with lock:
            running.add(number)
            maxima.append(len(running))
        both.wait()
        with lock:
            running.remove(number)
        both.wait()
        return number

    futures = [pool.submit(work, number) for number in range(6)]

    assert [future.result(10) for future in futures] == [0, 1, 2, 3, 4, 5]
    assert max(maxima) == 2


def test_work_that_waits_can_be_cancelled() -> None:
    pool = BackgroundPool(1)
    go = threading.Event()
    first = pool.submit(go.wait, 10)
    second = pool.submit(pytest.fail, "it was cancelled")
    assert second.cancel()

    go.set()

    assert first.result(10)
    assert pool.submit(divmod, 7, 2).result(10) == (3, 1)


def test_workers_that_end_are_replaced() -> None:
    pool = BackgroundPool(3)
    for _ in range(100):
        futures = [pool.submit(divmod, 7, 2) for _ in range(10)]
        assert {future.result(10) for future in futures} == {(3, 1)}
