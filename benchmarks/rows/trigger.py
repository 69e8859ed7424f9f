"""Looking for what a tick triggers, where it triggers nothing: at 1,000 trades and at 100,000."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from app.domain.quote import Quote
from app.extensions import mongo
from benchmarks.measure import Goal, Result, result_of
from benchmarks.support.books import PRICE
from benchmarks.support.copies import copy_indexes
from benchmarks.support.crowd import TRADES, crowd
from benchmarks.support.world import World, connect, world
from config import DATABASE_NAME
from tests.support.execution import close_triggered, fire_crossed

FEW = 1_000
CHECKS = 150
ROUNDS = 7


def measure() -> list[Result]:
    """Measure the milliseconds of a check among many trades over those among few."""
    with world(copy_of=crowd()) as here:
        few = _copy_few(here)
        tick = here.feed.set("^NSEI", PRICE)
        for name in (few, DATABASE_NAME):
            for check in (close_triggered, fire_crossed):
                _require_two_finds(here, name, check, tick)
        with connect(here.uri) as client, _bound_to(here, client):
            _round(client, few, tick)
            rounds = [_round(client, few, tick) for _ in range(ROUNDS)]
        among_many, among_few = (
            statistics.median(each[side] for each in rounds) for side in (0, 1)
        )
        return [
            result_of(
                f"a tick that triggers none of {TRADES:,} active trades",
                f"the same at {FEW:,}",
                Goal(at_most=1.3),
                [many / few for many, few in rounds],
                parts=f"{among_many:,.3g} : {among_few:,.3g} ms",
            )
        ]


def _copy_few(here: World) -> str:
    """Make a database with the first FEW of the trades, and the same indexes; return its name."""
    name = "few"
    few = here.client[name]
    copy_indexes(here.db.trades, few.trades)
    few.trades.insert_many(here.db.trades.find({"number": 1}, limit=FEW))
    return name


def _round(client: MongoClient[dict[str, Any]], few: str, tick: Quote) -> tuple[float, float]:
    """Return the median milliseconds of a check among many trades, and among few.

    One of each in turn: a check takes so little that any other work on the machine would
    strike a whole series of one side, and none of the other.
    """
    durations: dict[str, list[float]] = {DATABASE_NAME: [], few: []}
    for _ in range(CHECKS):
        for name, its_durations in durations.items():
            mongo.db = client[name]  # type: ignore[assignment]
            began = time.perf_counter()
            close_triggered([tick])
            its_durations.append((time.perf_counter() - began) * 1_000)
    return statistics.median(durations[DATABASE_NAME]), statistics.median(durations[few])


def _require_two_finds(
    here: World, name: str, check: Callable[[Sequence[Quote]], int], tick: Quote
) -> None:
    """Raise RuntimeError unless a check is two finds that return no document, and no more."""
    log = _CommandLog()
    with connect(here.uri, log) as client, _bound_to(here, client):
        mongo.db = client[name]  # type: ignore[assignment]
        found = check([tick])
        # Before the client takes its leave, which is a command as well.
        sent = dict(log.commands)
    if found or sent != {"find": 2} or log.documents:
        raise RuntimeError(
            f"{check.__name__} in {name!r} found {found}, sent {sent} and was returned "
            f"{log.documents} documents, where it is to send two finds and be returned none"
        )


@contextmanager
def _bound_to(here: World, client: MongoClient[dict[str, Any]]) -> Iterator[None]:
    """Have the application of this process work with a client until the block ends."""
    used = mongo.db
    with here.app.app_context():
        mongo.db = client[DATABASE_NAME]  # type: ignore[assignment]
        try:
            yield
        finally:
            mongo.db = used


class _CommandLog(CommandListener):
    """Counts commands by name, and the documents that they returned."""

    def __init__(self) -> None:
        self.commands: Counter[str] = Counter()
        self.documents = 0

    def started(self, event: CommandStartedEvent) -> None:
        # A new connection signs in, which is no part of the check.
        if not event.command_name.startswith("sasl"):
            self.commands[event.command_name] += 1

    def succeeded(self, event: CommandSucceededEvent) -> None:
        self.documents += len(event.reply.get("cursor", {}).get("firstBatch", []))

    def failed(self, event: CommandFailedEvent) -> None:
        pass
