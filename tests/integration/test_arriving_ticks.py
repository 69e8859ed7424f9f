"""Ticks that arrive between two polls, and gaps of a remote feed."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta
from functools import partial

import pytest

from app.domain.candle import Candle
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import Source
from app.market_data.feed import CandlesRefused, Gap
from app.monitor import Monitor
from app.monitor.gaps import HOLD_SECONDS, MAX_ATTEMPTS
from app.monitor.loop import Pass
from tests.support.concurrency import running
from tests.support.database_state import assert_invariants
from tests.support.live import eventually
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.users import Trader


class DistantFeed(ScriptedFeed):
    """A scripted remote market, whose candles may be unavailable."""

    remote = True

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.has_candles = threading.Event()
        self.failure: MarketDataUnavailable = MarketDataUnavailable("not now")
        self.requests: Counter[str] = Counter()

    def candles(self, symbol: str, since: datetime, until: datetime) -> list[Candle]:
        if not self.has_candles.is_set():
            self.requests[symbol] += 1
            raise self.failure
        return super().candles(symbol, since, until)


def active(trader: Trader) -> list[str]:
    return [trade["trade_id"] for trade in trader.trades("?status=ACTIVE&symbol=NIFTY")]


@pytest.fixture
def distant(clock: ManualClock) -> DistantFeed:
    return DistantFeed(clock)


def test_an_arriving_tick_closes_a_trade_before_the_next_poll(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    alice.create_trade(stop_loss=24_990)
    with running(monitor):
        # The interval is 10 s, and the test takes at most 5 s.
        feed.push("^NSEI", 24_985)
        eventually(lambda: alice.trades()[0]["status"] == "STOP_LOSS_HIT", timeout=5)

    assert alice.trades()[0]["exit_price"] == 24_985.0
    assert_invariants(alice.client_id)


def test_arrived_ticks_count_in_their_order(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    alice.create_trade(stop_loss=24_990)
    for price in (24_995, 24_980, 25_050):
        feed.push("^NSEI", price)

    assert monitor.run_arrived() == Pass(ticks=3, closed=1)
    assert alice.trades()[0]["exit_price"] == 24_980.0
    assert monitor.run_arrived() == Pass(ticks=0, closed=0)


class TestGapsOfAFeedFromAfar:
    @pytest.fixture
    def feed(self, distant: DistantFeed) -> DistantFeed:
        distant.set("^NSEI", 25_000)
        return distant

    @pytest.fixture(autouse=True)
    def _watched_trade(self, alice: Trader, monitor: Monitor) -> None:
        """Open a trade with a stop-loss of 24,900, in a market polled until now."""
        alice.create_trade(stop_loss=24_900)
        monitor.run_once()

    def outage(self, feed: DistantFeed, clock: ManualClock) -> None:
        """Make a gap of ten minutes, in which NIFTY fell to 24,800 and recovered."""
        began = clock.now()
        feed.record("^NSEI", began + timedelta(minutes=5), 25_000, 24_800, 25_000)
        clock.advance(600)
        feed.gaps.append(Gap("^NSEI", began, clock.now()))

    def test_an_outage_of_the_sources_is_settled_from_candles(
        self, alice: Trader, feed: DistantFeed, monitor: Monitor, clock: ManualClock
    ) -> None:
        feed.has_candles.set()
        self.outage(feed, clock)

        monitor.run_once()

        eventually(lambda: alice.trades()[0]["status"] == "STOP_LOSS_HIT")
        (trade,) = alice.trades()
        assert (trade["exit_price"], trade["settled_from"]) == (24_900.0, "gap")
        assert_invariants(alice.client_id)

    def test_newer_ticks_wait_for_the_candles_of_a_gap(
        self, alice: Trader, feed: DistantFeed, monitor: Monitor, clock: ManualClock
    ) -> None:
        self.outage(feed, clock)
        feed.tick("^NSEI", 24_700)

        assert monitor.run_once().closed == 0
        feed.has_candles.set()
        monitor.run_once()

        eventually(lambda: alice.trades()[0]["status"] == "STOP_LOSS_HIT")
        assert alice.trades()[0]["exit_price"] == 24_900.0

    def test_they_wait_for_a_limited_time(
        self, alice: Trader, feed: DistantFeed, monitor: Monitor, clock: ManualClock
    ) -> None:
        self.outage(feed, clock)
        feed.tick("^NSEI", 24_700)
        assert monitor.run_once().closed == 0

        clock.advance(HOLD_SECONDS + 1)

        assert monitor.run_once().closed == 1
        (trade,) = alice.trades()
        assert (trade["exit_price"], trade["settled_from"]) == (24_700.0, "quote")
        assert alice.notifications()[0]["data"]["settled_from"] == "quote"
        assert HOLD_SECONDS <= 10

    def test_only_the_first_quote_after_the_gap_is_marked_as_deciding(
        self, alice: Trader, feed: DistantFeed, monitor: Monitor, clock: ManualClock
    ) -> None:
        alice.create_trade(stop_loss=24_500)
        self.outage(feed, clock)
        for price in (24_700, 24_400):
            feed.tick("^NSEI", price)
        monitor.run_once()
        clock.advance(HOLD_SECONDS + 1)

        assert monitor.run_once().closed == 2

        deeper, higher = alice.trades()
        assert (higher["exit_price"], higher["settled_from"]) == (24_700.0, "quote")
        assert (deeper["exit_price"], deeper["settled_from"]) == (24_400.0, None)

    def test_an_alert_fired_by_the_first_quote_is_marked(
        self, alice: Trader, feed: DistantFeed, monitor: Monitor, clock: ManualClock
    ) -> None:
        assert alice.post("/market/alerts", {"symbol": "NIFTY", "below": 24_800}).status_code == 201
        self.outage(feed, clock)
        feed.tick("^NSEI", 24_700)
        monitor.run_once()
        clock.advance(HOLD_SECONDS + 1)
        monitor.run_once()

        (alert,) = alice.get("/market/alerts").get_json()["alerts"]
        assert (alert["price"], alert["settled_from"]) == (24_700.0, "quote")

    def test_missing_candles_are_requested_a_few_times_and_logged_once(
        self,
        alice: Trader,
        feed: DistantFeed,
        monitor: Monitor,
        clock: ManualClock,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        feed.set("RELIANCE.NS", 1_400)
        assert alice.create_trade(symbol="RELIANCE", stop_loss=1).status_code == 201
        monitor.run_once()
        self.outage(feed, clock)
        feed.gaps.append(Gap("RELIANCE.NS", clock.now() - timedelta(seconds=595), clock.now()))
        feed.tick("^NSEI", 24_700)

        def pass_until(requests: int) -> bool:
            monitor.run_arrived()
            return feed.requests["^NSEI"] == feed.requests["RELIANCE.NS"] == requests

        monitor.run_once()
        for number in range(2, MAX_ATTEMPTS + 1):
            eventually(partial(pass_until, number))
            clock.advance(4)
        eventually(lambda: monitor.run_arrived().closed == 0 and not active(alice))

        for _ in range(20):
            clock.advance(10)
            monitor.run_once()
        assert set(feed.requests.values()) == {MAX_ATTEMPTS}
        assert len([message for message in caplog.messages if "quotes decide" in message]) == 1

    def test_refused_candles_delay_nothing(
        self, alice: Trader, feed: DistantFeed, monitor: Monitor, clock: ManualClock
    ) -> None:
        feed.failure = CandlesRefused("not subscribed")
        self.outage(feed, clock)
        feed.tick("^NSEI", 24_700)
        monitor.run_once()

        # The clock stands still: no wait ends by time.
        eventually(lambda: monitor.run_arrived() and not active(alice))

        (trade,) = alice.trades()
        assert (trade["exit_price"], trade["settled_from"]) == (24_700.0, "quote")
        assert feed.requests["^NSEI"] == 1

    def test_a_running_monitor_releases_the_waiting_ticks(
        self, alice: Trader, feed: DistantFeed, monitor: Monitor, clock: ManualClock
    ) -> None:
        feed.failure = CandlesRefused("not subscribed")
        with running(monitor):
            self.outage(feed, clock)
            feed.push("^NSEI", 24_700)
            # Much less than the interval of 10 s.
            eventually(lambda: not active(alice), timeout=5)

    def test_a_restart_finds_a_gap_that_was_never_settled(
        self, alice: Trader, feed: DistantFeed, monitor: Monitor, clock: ManualClock
    ) -> None:
        self.outage(feed, clock)
        monitor.run_once()

        feed.has_candles.set()
        clock.advance(60)
        assert Monitor(alice.client.application).settle_gap() == 1

    def test_prices_do_not_wait_for_the_candles_after_a_restart(
        self, alice: Trader, feed: DistantFeed, monitor: Monitor, clock: ManualClock
    ) -> None:
        clock.advance(600)
        feed.set("^NSEI", 25_010)
        restarted = Monitor(alice.client.application)
        with running(restarted):
            feed.push("^NSEI", 25_020)
            eventually(lambda: alice.client.get("/market/live/NIFTY").get_json()["price"] == 25_020)


def test_an_outage_of_a_mock_price_closes_no_real_trade(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    feed.source = Source.ANGEL_ONE
    clock.advance(60)
    feed.set("^NSEI", 25_000)
    alice.create_trade(stop_loss=24_990)
    feed.source = Source.MOCK
    feed.tick("^NSEI", 24_000)

    assert monitor.run_once().closed == 0
    assert alice.trades()[0]["status"] == "ACTIVE"
