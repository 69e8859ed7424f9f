"""Reads of many at once: as few as can be, and none answers with what was before its question."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from app.database import together
from app.database.together import ReadTogether
from tests.support.live import eventually

SECONDS = 10


class Shelf:
    """What is read: each read waits until it is let go, once as it begins and once as it ends."""

    def __init__(self) -> None:
        self.values = dict.fromkeys("abcdef", 1)
        self.reads: list[set[str]] = []
        self.failures: list[BaseException] = []
        self._changed = threading.Condition()
        self._held: set[int] = set()

    def find(self, keys: Collection[str]) -> Mapping[str, int]:
        with self._changed:
            number = len(self.reads)
            self.reads.append(set(keys))
            found = {key: self.values[key] for key in keys if key in self.values}
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: number not in self._held, SECONDS)
        if self.failures:
            raise self.failures.pop()
        return found

    def hold(self, number: int) -> None:
        """Have the read of this number, counted from 0, end only when it is let go."""
        self._held.add(number)

    def let_go(self, number: int) -> None:
        with self._changed:
            self._held.discard(number)
            self._changed.notify_all()

    def wait_for_reads(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.reads) >= count, SECONDS)


IdempotencyRecord = Future[int | None]
Ask = Callable[[str], IdempotencyRecord]
AskAll = Callable[[str], list[IdempotencyRecord]]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "TIMEOUT_SECONDS", SECONDS)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def reads(shelf: Shelf) -> ReadTogether[int]:
    return ReadTogether(shelf.find)


@pytest.fixture
def ask(reads: ReadTogether[int]) -> Iterator[Ask]:
    """Ask in a thread of its own."""
    with ThreadPoolExecutor(16) as pool:
        yield lambda key: pool.submit(reads.read, key)


@pytest.fixture
def ask_during_the_first_read(reads: ReadTogether[int], shelf: Shelf, ask: Ask) -> AskAll:
    """Ask for "a", and for these while that is being read; it ends when it is let go."""

    def gather(keys: str) -> list[IdempotencyRecord]:
        shelf.hold(0)
        answers = [ask("a")]
        shelf.wait_for_reads(1)
        answers += map(ask, keys)
        eventually(lambda: reads._gathering and reads._gathering.keys == set(keys))
        return answers

    return gather


def test_what_is_asked_for_alone_is_read_at_once(reads: ReadTogether[int], shelf: Shelf) -> None:
    assert [reads.read("a"), reads.read("b"), reads.read("nothing")] == [1, 1, None]
    assert shelf.reads == [{"a"}, {"b"}, {"nothing"}]


def test_what_is_asked_for_during_a_read_is_read_in_one(
    shelf: Shelf, ask_during_the_first_read: AskAll
) -> None:
    answers = ask_during_the_first_read("bcdbx")
    shelf.let_go(0)

    assert [each.result(SECONDS) for each in answers] == [1, 1, 1, 1, 1, None]
    assert shelf.reads == [{"a"}, {"b", "c", "d", "x"}]


def test_an_answer_is_not_older_than_its_question(
    shelf: Shelf, ask_during_the_first_read: AskAll
) -> None:
    # Asked for again after it was read, and before the first to ask was told.
    before, after = ask_during_the_first_read("a")
    shelf.values["a"] = 2
    shelf.let_go(0)

    assert (before.result(SECONDS), after.result(SECONDS)) == (1, 2)


def test_a_failure_is_told_to_all_who_waited_for_it_and_to_nobody_else(
    reads: ReadTogether[int], shelf: Shelf, ask_during_the_first_read: AskAll
) -> None:
    first, *rest = ask_during_the_first_read("bc")
    shelf.hold(1)
    shelf.let_go(0)
    assert first.result(SECONDS) == 1
    shelf.wait_for_reads(2)
    shelf.failures.append(ConnectionError("the database is away"))
    shelf.let_go(1)

    for each in rest:
        with pytest.raises(ConnectionError, match="is away"):
            each.result(SECONDS)
    assert reads.read("b") == 1


def test_who_waited_for_a_reader_that_was_killed_asks_again(
    shelf: Shelf, ask_during_the_first_read: AskAll
) -> None:
    answers = ask_during_the_first_read("bc")
    shelf.hold(1)
    shelf.let_go(0)
    shelf.wait_for_reads(2)
    shelf.failures.append(SystemExit())
    shelf.let_go(1)

    outcomes = [each.exception(SECONDS) for each in answers]
    assert sorted(map(repr, outcomes)) == ["None", "None", "SystemExit()"]


def test_a_read_that_hangs_holds_up_the_next_for_a_moment_only(
    reads: ReadTogether[int], shelf: Shelf, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "TIMEOUT_SECONDS", 0.05)
    shelf.hold(0)
    hanging = ask("a")
    shelf.wait_for_reads(1)

    assert reads.read("b") == 1
    assert reads.read("c") == 1

    assert not hanging.done()
    shelf.let_go(0)
    assert hanging.result(SECONDS) == 1
