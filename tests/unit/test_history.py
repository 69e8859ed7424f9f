"""The window of candles that a request means, and the cache in front of the feed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from app.domain.candle import Candle, Interval
from app.domain.errors import InvalidRequest, MarketDataUnavailable
from app.domain.quote import Source
from app.market_data.candle_cache import CandleHistory, Window, choose_window
from tests.support.concurrency import run_concurrently
from tests.support.live import eventually
from tests.support.market import ManualClock, ScriptedFeed

NOW = datetime(2026, 11, 23, 4, 2, 30, tzinfo=UTC)
FIVE = Interval.FIVE_MINUTES


def at(hour: int, minute: int, second: int = 0, day: int = 23) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


def window(since: datetime | None = None, until: datetime | None = None) -> Window:
    return choose_window("^NSEI", FIVE, since, until, NOW)


def refusal(since: datetime | None = None, until: datetime | None = None) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as error:
        window(since, until)
    assert error.value.code == "invalid_range"
    return error.value


def test_the_default_window_is_the_last_500_candles_and_the_forming_one() -> None:
    chosen = window()

    assert chosen.until == at(4, 5)
    assert chosen.until - chosen.since == 500 * FIVE.length


def test_both_ends_are_rounded_up_to_the_beginning_of_a_candle() -> None:
    assert (
        window(at(3, 1), at(3, 58)) == window(at(3, 5), at(4, 0)) == window(at(3, 0, 1), at(4, 0))
    )
    assert (window(at(3, 5), at(4, 0)).since, window(at(3, 5), at(4, 0)).until) == (
        at(3, 5),
        at(4, 0),
    )


def test_an_end_without_a_start_has_500_candles_before_it() -> None:
    chosen = window(until=at(3, 0))

    assert (chosen.since, chosen.until) == (at(3, 0) - 500 * FIVE.length, at(3, 0))


def test_an_end_in_the_future_is_now() -> None:
    assert window(at(3, 0), at(12, 0, day=30)) == window(at(3, 0))


def test_a_window_in_the_future_is_empty() -> None:
    chosen = window(at(5, 0), at(6, 0))
    assert chosen.since == chosen.until
    chosen = window(at(4, 2, 29))
    assert chosen.since == chosen.until


def test_a_time_zone_changes_nothing() -> None:
    ist = timezone(timedelta(hours=5, minutes=30))
    assert window(at(3, 0).astimezone(ist), at(4, 0).astimezone(ist)) == window(at(3, 0), at(4, 0))


@pytest.mark.parametrize(
    ("since", "until"), [(at(3, 0), at(3, 0)), (at(3, 1), at(3, 0)), (NOW, None), (at(9, 0), None)]
)
def test_a_window_must_begin_before_it_ends(since: datetime, until: datetime | None) -> None:
    error = refusal(since, until)

    assert set(error.details) == {"from"}
    assert "before" in error.message


def test_a_window_has_at_most_a_thousand_candles() -> None:
    start = at(4, 0) - 1_000 * FIVE.length
    assert window(start, at(4, 0)).since == start

    error = refusal(start - timedelta(seconds=1) - FIVE.length, at(4, 0))

    named = start.isoformat().replace("+00:00", "Z")
    assert named in error.message
    assert named in error.details["from"]
    assert window(start, at(4, 0)) == window(datetime.fromisoformat(named), at(4, 0))


@pytest.mark.parametrize("year", [1, 1969, 1989, 2101, 9999])
@pytest.mark.parametrize("hours", [-12, 0, 14])
def test_a_time_without_a_market_is_refused(year: int, hours: int) -> None:
    time = datetime(year, 1, 1, tzinfo=timezone(timedelta(hours=hours)))

    assert set(refusal(since=time).details) == {"from"}
    assert set(refusal(until=time).details) == {"to"}


class CountingFeed(ScriptedFeed):
    """A market that records requests for candles, and answers while `gate` is set."""

    def __init__(self, clock: ManualClock, source: Source = Source.MOCK) -> None:
        super().__init__(clock, source)
        self.asked: list[tuple[str, Interval, datetime, datetime]] = []
        self.now_calls = 0
        self.failure: BaseException | None = None
        self.gate = threading.Event()
        self.gate.set()

    def now(self) -> datetime:
        self.now_calls += 1
        return super().now()

    def history(
        self, symbol: str, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        self.asked.append((symbol, interval, since, until))
        assert self.gate.wait(10)
        if self.failure:
            raise self.failure
        return super().history(symbol, interval, since, until)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


Make = Callable[..., tuple[CountingFeed, CandleHistory]]


@pytest.fixture
def make(clock: ManualClock) -> Make:
    """Make a market with some candles, and the cache in front of it."""

    def make(source: Source = Source.MOCK, **bounds: int) -> tuple[CountingFeed, CandleHistory]:
        feed = CountingFeed(clock, source)
        for minute in range(0, 60, 5):
            feed.record("^NSEI", at(3, minute, day=20), minute + 1)
            feed.record("^NSEI", at(3, minute), minute + 1, minute + 3, minute + 2)
        return feed, CandleHistory(feed, clock, fresh_seconds=5, **bounds)

    return make


def open_gate_once_asked(feed: CountingFeed) -> None:
    def wait_and_open() -> None:
        eventually(lambda: feed.asked)
        feed.gate.set()

    threading.Thread(target=wait_and_open, daemon=True).start()


def test_the_feed_is_asked_for_whole_candles(make: Make) -> None:
    feed, history = make()

    found = history.candles("^NSEI", FIVE, at(3, 1), at(3, 12))

    assert feed.asked == [("^NSEI", FIVE, at(3, 5), at(3, 15))]
    assert [each.open for each in found] == [6, 11]


def test_a_repeated_request_is_served_from_the_cache_for_a_while(
    make: Make, clock: ManualClock
) -> None:
    feed, history = make()
    first = history.candles("^NSEI", FIVE, None, None)
    feed.record("^NSEI", at(4, 0), 500)
    clock.advance(4.9)

    assert history.candles("^NSEI", FIVE, None, None) == first
    assert len(feed.asked) == 1
    clock.advance(0.2)
    assert history.candles("^NSEI", FIVE, None, None)[-1].close == 500
    assert len(feed.asked) == 2


def test_another_symbol_interval_or_window_is_requested(make: Make) -> None:
    feed, history = make()
    history.candles("^NSEI", FIVE, at(3, 0), at(4, 0))
    history.candles("^BSESN", FIVE, at(3, 0), at(4, 0))
    history.candles("^NSEI", Interval.QUARTER_HOUR, at(3, 0), at(4, 0))
    history.candles("^NSEI", FIVE, at(3, 5), at(4, 0))
    history.candles("^NSEI", FIVE, at(3, 0), at(3, 55))

    assert len(feed.asked) == 5


def test_the_next_candle_makes_a_new_request(make: Make, clock: ManualClock) -> None:
    feed, history = make()
    clock.advance(149)
    history.candles("^NSEI", FIVE, None, None)
    clock.advance(2)
    history.candles("^NSEI", FIVE, None, None)

    assert [until for *_, until in feed.asked] == [at(4, 5), at(4, 10)]


@pytest.mark.parametrize(
    ("source", "day", "asked"),
    [(Source.YAHOO, 20, 1), (Source.YAHOO, 23, 2), (Source.MOCK, 20, 2), (Source.REPLAY, 20, 2)],
)
def test_old_real_candles_are_cached_for_long(
    make: Make, clock: ManualClock, source: Source, day: int, asked: int
) -> None:
    feed, history = make(source)
    for _ in range(2):
        assert history.candles("^NSEI", FIVE, at(3, 0, day=day), at(3, 30, day=day))
        clock.advance(600)

    assert len(feed.asked) == asked


def test_an_empty_answer_is_requested_again(make: Make, clock: ManualClock) -> None:
    feed, history = make(Source.YAHOO)
    for _ in range(2):
        assert history.candles("^NSEI", FIVE, at(3, 0, day=1), at(3, 30, day=1)) == ()
        clock.advance(6)

    assert len(feed.asked) == 2


def test_an_empty_window_is_not_requested(make: Make) -> None:
    feed, history = make()

    assert history.candles("^NSEI", FIVE, at(5, 0), at(6, 0)) == ()
    assert feed.asked == []


def test_concurrent_callers_of_one_window_make_one_request(make: Make) -> None:
    feed, history = make()
    feed.gate.clear()
    open_gate_once_asked(feed)

    found = run_concurrently([lambda: history.candles("^NSEI", FIVE, at(3, 0), at(4, 0))] * 8)

    assert len(feed.asked) == 1
    assert len(found[0]) == 12
    assert all(each == found[0] for each in found)


def test_a_slow_request_delays_no_other_window(make: Make) -> None:
    feed, history = make()
    history.candles("^NSEI", FIVE, at(3, 0), at(4, 0))
    feed.gate.clear()
    slow = threading.Thread(target=history.candles, args=("^NSEI", FIVE, at(3, 5), at(4, 0)))
    slow.start()
    eventually(lambda: len(feed.asked) == 2)

    assert len(history.candles("^NSEI", FIVE, at(3, 0), at(4, 0))) == 12
    feed.gate.set()
    slow.join(10)


def test_a_failure_reaches_all_waiting_callers_and_no_later_one(make: Make) -> None:
    feed, history = make()
    feed.failure = MarketDataUnavailable("Not now.")
    feed.gate.clear()
    open_gate_once_asked(feed)

    def ask() -> str:
        with pytest.raises(MarketDataUnavailable) as error:
            history.candles("^NSEI", FIVE, at(3, 0), at(4, 0))
        return error.value.message

    assert set(run_concurrently([ask] * 4)) == {"Not now."}
    feed.failure = None
    assert len(history.candles("^NSEI", FIVE, at(3, 0), at(4, 0))) == 12


def test_a_caller_that_is_ended_from_outside_ends_no_other(make: Make) -> None:
    feed, history = make()
    feed.failure = SystemExit()
    feed.gate.clear()
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            history.candles("^NSEI", FIVE, at(3, 0), at(4, 0))
        except BaseException as error:
            raised.append(error)

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    eventually(lambda: len(feed.asked) == 1 and feed.now_calls >= len(askers))
    feed.gate.set()
    for asker in askers:
        asker.join(10)

    assert len(raised) == len(askers)
    # A caller that came too late to wait made its own request.
    assert sum(isinstance(each, SystemExit) for each in raised) == len(feed.asked)
    assert {type(each) for each in raised} == {SystemExit, MarketDataUnavailable}


def test_the_size_of_the_cache_is_bounded(make: Make) -> None:
    feed, history = make(max_candles=30)
    for _ in range(3):
        for minute in range(0, 55, 5):
            history.candles("^NSEI", FIVE, at(3, minute), at(4, 0))
            assert sum(len(candles) + 1 for candles in history.cache.values()) <= 30
            assert history.cache.currsize <= 30
    empty = [at(hour, 0, day=day) for day in range(1, 5) for hour in range(20)]
    for since in empty:
        history.candles("^NSEI", FIVE, since, since + timedelta(minutes=20))

    assert len(history.cache) <= 30
    # The last window requested is still cached.
    asked = len(feed.asked)
    history.candles("^NSEI", FIVE, empty[-1], empty[-1] + timedelta(minutes=20))
    assert len(feed.asked) == asked


def test_the_least_recently_used_window_is_dropped(make: Make) -> None:
    feed, history = make(max_candles=30)
    for start in (0, 5, 0, 10):
        history.candles("^NSEI", FIVE, at(3, start), at(4, 0))
    assert len(feed.asked) == 3

    history.candles("^NSEI", FIVE, at(3, 0), at(4, 0))
    assert len(feed.asked) == 3
    history.candles("^NSEI", FIVE, at(3, 5), at(4, 0))
    assert len(feed.asked) == 4


def test_prices_are_returned_unchanged(make: Make) -> None:
    _, history = make()

    assert history.candles("^NSEI", FIVE, at(3, 0), at(3, 5)) == (
        Candle(
            "^NSEI",
            at(3, 0),
            Decimal("1.00"),
            Decimal("3.00"),
            Decimal("1.00"),
            Decimal("2.00"),
            Source.MOCK,
        ),
    )
