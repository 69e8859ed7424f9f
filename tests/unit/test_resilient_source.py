"""One source with a deadline, retries and a circuit breaker."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.domain.candle import Candle, Interval
from app.domain.quote import Quote, Source
from app.market_data.instruments.registry import load_instruments
from app.market_data.providers.base import SourceRefused, SourceUnavailable
from app.market_data.providers.resilience import FAILURES_TO_OPEN, FETCH_SECONDS, ResilientSource
from tests.support.live import eventually
from tests.support.market import ManualClock
from tests.support.sources import ScriptedSource

NIFTY = load_instruments().get("^NSEI")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def source(clock: ManualClock) -> Iterator[ScriptedSource]:
    source = ScriptedSource(clock)
    source.prices["^NSEI"] = Decimal(25_000)
    yield source
    source.go.set()


@pytest.fixture
def upstream(source: ScriptedSource, clock: ManualClock) -> ResilientSource:
    return ResilientSource(source, clock, probe_seconds=30)


@pytest.fixture
def impatient(source: ScriptedSource, clock: ManualClock) -> ResilientSource:
    return ResilientSource(source, clock, probe_seconds=30, fetch_seconds=0.2)


def fail(upstream: ResilientSource, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(SourceUnavailable):
            upstream.fetch([NIFTY])


def test_it_returns_the_quotes_of_its_source(upstream: ResilientSource) -> None:
    assert [quote.price for quote in upstream.fetch([NIFTY])] == [25_000]
    assert upstream.describe() == {
        "status": "closed",
        "seconds_since_last_answer": 0.0,
        "last_error": None,
    }


def test_a_failed_call_is_retried_once(upstream: ResilientSource, source: ScriptedSource) -> None:
    source.failing = SourceUnavailable("a failure")
    fail(upstream)
    assert len(source.calls) == 2


def test_a_source_that_hangs_is_abandoned_in_time(
    impatient: ResilientSource, source: ScriptedSource
) -> None:
    source.go.clear()
    with pytest.raises(SourceUnavailable, match=r"did not answer in 0\.2 s"):
        impatient.fetch([NIFTY])


def test_a_source_gets_a_deadline_before_it_is_abandoned(
    upstream: ResilientSource, source: ScriptedSource
) -> None:
    began = time.monotonic()
    upstream.fetch([NIFTY])

    (deadline,) = source.deadlines
    assert began < deadline < time.monotonic() + FETCH_SECONDS


def test_an_abandoned_call_is_not_retried(
    impatient: ResilientSource, source: ScriptedSource
) -> None:
    source.failing = SourceUnavailable("late")
    source.go.clear()
    fail(impatient)
    hanging = threading.active_count()

    source.go.set()

    eventually(lambda: threading.active_count() < hanging)
    assert len(source.calls) == 1


def test_a_late_answer_is_dropped_and_makes_room(
    impatient: ResilientSource, source: ScriptedSource
) -> None:
    source.go.clear()
    fail(impatient, 2)
    source.go.set()
    eventually(lambda: impatient.fetch([NIFTY]))


def test_at_most_three_calls_hang_at_a_time(source: ScriptedSource, clock: ManualClock) -> None:
    upstream = ResilientSource(source, clock, probe_seconds=0, fetch_seconds=0.02)
    source.go.clear()
    fail(upstream, 10)
    assert len(source.calls) == 3


def test_after_three_failures_the_source_is_paused(
    upstream: ResilientSource, source: ScriptedSource, caplog: pytest.LogCaptureFixture
) -> None:
    source.failing = SourceUnavailable("down")
    fail(upstream, FAILURES_TO_OPEN)
    before = len(source.calls)

    fail(upstream, 5)

    assert len(source.calls) == before
    assert upstream.describe()["status"] == "open"
    assert upstream.describe()["last_error"] == "down"


def test_one_probe_detects_the_recovery(
    upstream: ResilientSource, source: ScriptedSource, clock: ManualClock
) -> None:
    source.failing = SourceUnavailable("down")
    fail(upstream, FAILURES_TO_OPEN)
    clock.advance(31)
    fail(upstream)
    source.failing = None
    fail(upstream)

    clock.advance(31)

    assert upstream.fetch([NIFTY])
    assert upstream.describe()["status"] == "closed"


def test_a_clock_that_is_set_back_does_not_extend_the_pause(
    upstream: ResilientSource, source: ScriptedSource, clock: ManualClock
) -> None:
    source.failing = SourceUnavailable("down")
    fail(upstream, FAILURES_TO_OPEN)
    source.failing = None
    clock.advance(31)
    clock.set_back(3600)

    assert upstream.fetch([NIFTY])


def test_a_source_that_asks_for_a_pause_gets_it(
    upstream: ResilientSource, source: ScriptedSource, clock: ManualClock
) -> None:
    source.failing = SourceUnavailable("too many requests", retry_after=60)
    fail(upstream)
    source.failing = None
    clock.advance(59)
    fail(upstream)
    assert len(source.calls) == 1

    clock.advance(2)
    assert upstream.fetch([NIFTY])


def test_a_source_that_refuses_the_credentials_gets_no_more_requests(
    upstream: ResilientSource, source: ScriptedSource, clock: ManualClock
) -> None:
    source.failing = SourceRefused("the PIN is wrong")
    for _ in range(5):
        with pytest.raises(SourceRefused, match="the PIN is wrong"):
            upstream.fetch([NIFTY])
        clock.advance(3600)

    assert len(source.calls) == 1
    assert upstream.describe()["status"] == "refused"


def test_a_defect_of_our_own_counts_as_a_failure(
    upstream: ResilientSource, source: ScriptedSource, caplog: pytest.LogCaptureFixture
) -> None:
    source.failing = ZeroDivisionError()
    with pytest.raises(SourceUnavailable, match="ZeroDivisionError"):
        upstream.fetch([NIFTY])


def test_failed_candles_do_not_affect_quotes(
    upstream: ResilientSource, source: ScriptedSource
) -> None:
    source.failing = SourceUnavailable("no history today")
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(SourceUnavailable):
            upstream.candles(NIFTY, Interval.MINUTE, NOON, NOON)
    source.failing = None

    with pytest.raises(SourceUnavailable, match="is paused"):
        upstream.candles(NIFTY, Interval.MINUTE, NOON, NOON)
    assert upstream.fetch([NIFTY])


def test_one_of_many_simultaneous_callers_makes_the_probe(
    upstream: ResilientSource, source: ScriptedSource, clock: ManualClock
) -> None:
    source.failing = SourceUnavailable("down")
    fail(upstream, FAILURES_TO_OPEN)
    clock.advance(31)
    before = len(source.calls)
    threads = [threading.Thread(target=fail, args=(upstream,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # One probe and its retry.
    assert len(source.calls) == before + 2


def test_quotes_and_candles_with_invalid_prices_are_dropped(clock: ManualClock) -> None:
    source = ScriptedSource(clock)
    upstream = ResilientSource(source, clock, probe_seconds=30)
    nifty = load_instruments().get("^NSEI")
    good = Candle.of([Quote("^NSEI", Decimal(100), Source.ANGEL_ONE, clock.now())])
    source.candles_by_symbol["^NSEI"] = [replace(good, low=Decimal(0)), good]

    for price in (0, -1, 10**8):
        source.prices["^NSEI"] = Decimal(price)
        assert upstream.fetch([nifty]) == []
    until = clock.now() + timedelta(minutes=1)
    assert upstream.candles(nifty, Interval.MINUTE, clock.now(), until) == [good]
