"""Counts of requests: each for its window and no longer, and memory for those that last."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from limits.storage import storage_from_string

from app import counters
from app.counters import COUNTERS_URI, WindowCounters
from tests.support.together import at_once

NOON = 1_800_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock whose `now` is the time."""
    clock = SimpleNamespace(now=NOON)
    monkeypatch.setattr(counters, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


@pytest.fixture
def counts(clock: SimpleNamespace) -> WindowCounters:
    return WindowCounters()


def test_flask_limiter_finds_them_by_their_uri() -> None:
    assert isinstance(storage_from_string(COUNTERS_URI), WindowCounters)


def test_a_window_begins_with_its_first_request_and_ends_on_time(
    counts: WindowCounters, clock: SimpleNamespace
) -> None:
    assert [counts.incr("alice", 60), counts.incr("alice", 60, amount=2)] == [1, 3]
    clock.now += 59.9
    assert counts.incr("alice", 60) == counts.get("alice") == 4
    assert counts.get_expiry("alice") == NOON + 60
    clock.now = NOON + 60
    assert counts.get("alice") == 0
    assert counts.incr("alice", 60) == 1
    assert counts.get_expiry("alice") == NOON + 120


def test_each_is_counted_alone(counts: WindowCounters) -> None:
    counts.incr("alice", 60)

    assert counts.get("bob") == 0
    assert counts.get_expiry("bob") == NOON
    assert counts.incr("bob", 60) == 1


def test_no_request_is_lost_where_many_come_at_once(counts: WindowCounters) -> None:
    found = at_once([lambda: counts.incr("alice", 60)] * 16)

    assert sorted(found) == list(range(1, 17))


def test_a_count_can_be_forgotten_and_so_can_all(counts: WindowCounters) -> None:
    for name in ("alice", "bob", "carol"):
        counts.incr(name, 60)

    counts.clear("alice")
    counts.clear("nobody")

    assert [counts.get("alice"), counts.get("bob")] == [0, 1]
    assert counts.reset() == 2
    assert counts.get("bob") == 0
    assert counts.check()


def test_counts_that_have_ended_take_no_memory_for_long(
    counts: WindowCounters, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "FEW", 100)
    counts._sweep_at = 100
    for second in range(1_000):
        clock.now = NOON + second
        counts.incr(f"user{second}", 60)

    # 60 of them last; as many again before they are looked through.
    assert len(counts._windows) <= 160
    assert [counts.get(f"user{second}") for second in (930, 945, 999)] == [0, 1, 1]


def test_counts_that_last_are_looked_through_the_less_often_the_more_they_are(
    counts: WindowCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "FEW", 10)
    counts._sweep_at = 10
    sweeps = []
    sweep = counts._sweep
    monkeypatch.setattr(counts, "_sweep", lambda now: (sweeps.append(now), sweep(now)))
    for number in range(1_000):
        counts.incr(f"user{number}", 60)

    assert len(sweeps) == 7
    assert all(counts.get(f"user{number}") == 1 for number in range(1_000))
