"""RECORD_FILE of several workers: each tick is in one of their files, once and whole."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from app.market_data.feeds.recording import read_recording
from app.market_data.instruments.registry import load_instruments
from app.market_data.recordings.recorder import Recorder, create_recorder
from app.monitor import Monitor
from app.services import services
from config import Settings
from tests.support.concurrency import run_concurrently
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.users import Trader

SYMBOLS = ("^NSEI", "^BSESN", "RELIANCE.NS", "TCS.NS", "INFY.NS", "SBIN.NS", "ITC.NS", "LT.NS")
STEP_SECONDS = 1


@dataclass
class Worker:
    feed: ScriptedFeed
    monitor: Monitor
    recorder: Recorder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recordings" / "market.csv.gz"


@pytest.fixture
def start(
    app: Flask,
    make_settings: Callable[..., Settings],
    mongo_uri: str,
    clock: ManualClock,
    path: Path,
) -> Iterator[Callable[..., Worker]]:
    """Start workers that record to the same path; `app` clears up after them."""
    settings = make_settings(RECORD_FILE=path)
    recorders: list[Recorder] = []

    def start(price: int = 1_000) -> Worker:
        feed = ScriptedFeed(clock)
        for symbol in SYMBOLS:
            feed.set(symbol, price)
        process = create_app(settings, mongo_uri=mongo_uri, feed=feed, clock=clock)
        with process.app_context():
            recorder = create_recorder(settings, clock, services().actions.of)
        assert recorder is not None
        recorders.append(recorder)
        return Worker(feed, Monitor(process, recorder=recorder), recorder)

    yield start
    for recorder in recorders:
        recorder.close()


def pass_by(*workers: Worker, clock: ManualClock) -> None:
    """Let workers make a pass, one after the other."""
    for worker in workers:
        clock.advance(STEP_SECONDS)
        worker.monitor.run_if_leased()


def open_trades(trader: Trader, feed: ScriptedFeed) -> None:
    """Open a trade of every symbol at 1,000."""
    for symbol in SYMBOLS:
        feed.set(symbol, 1_000)
        assert trader.create_trade(symbol=symbol).status_code == 201


def come_to(price: int, workers: Sequence[Worker], clock: ManualClock) -> None:
    """Let each worker receive and record this price of every symbol, at the same time."""
    clock.advance(STEP_SECONDS)
    for worker in workers:
        for symbol in SYMBOLS:
            worker.feed.tick(symbol, price)
        worker.monitor.run_if_leased()
    run_concurrently([worker.recorder.flush for worker in workers])


def test_workers_that_divide_the_symbols_record_each_tick_once(
    alice: Trader, feed: ScriptedFeed, start: Callable[..., Worker], clock: ManualClock, path: Path
) -> None:
    open_trades(alice, feed)
    first, second = start(), start()
    first.monitor.run_if_leased()

    come_to(1_001, [first, second], clock)
    # The second one gets this price of its part as well, and does not record it again.
    pass_by(first, second, first, clock=clock)
    come_to(1_002, [first, second], clock)
    come_to(1_003, [first, second], clock)
    first.monitor.stop()
    first.recorder.close()
    pass_by(second, second, clock=clock)
    come_to(1_004, [second], clock)
    # It continues the file of the one that is gone.
    successor = start(1_004)
    pass_by(successor, second, successor, clock=clock)
    come_to(1_005, [second, successor], clock)

    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == [
        "market-2026-11-23.csv.gz",
        "market-2026-11-23_2.csv.gz",
    ]
    ticks = read_recording(path.parent, load_instruments()).ticks
    recorded = Counter((tick.symbol, int(tick.price)) for tick in ticks)
    assert recorded == Counter(
        (symbol, price) for symbol in SYMBOLS for price in range(1_001, 1_006)
    )
    for file in files:
        times = [row.partition(b",")[0] for row in gzip.decompress(file.read_bytes()).splitlines()]
        assert times[1:] == sorted(times[1:])
        assert times.count(b"timestamp") == 1


def test_a_tick_of_the_moment_of_a_takeover_is_recorded_once(
    alice: Trader, feed: ScriptedFeed, start: Callable[..., Worker], clock: ManualClock, path: Path
) -> None:
    open_trades(alice, feed)
    first, second = start(), start()
    pass_by(first, second, first, second, first, clock=clock)
    clock.advance(STEP_SECONDS)
    for worker in (first, second):
        for symbol in SYMBOLS:
            worker.feed.tick(symbol, 1_001)
    first.monitor.run_if_leased()
    first.monitor.stop()

    # The feed of the second worker has the tick as well, and the first one has settled it.
    second.monitor.run_if_leased()

    for worker in (first, second):
        worker.recorder.flush()
    ticks = read_recording(path.parent, load_instruments()).ticks
    assert Counter((tick.symbol, int(tick.price)) for tick in ticks) == Counter(
        (symbol, price) for symbol in SYMBOLS for price in (1_000, 1_001)
    )
