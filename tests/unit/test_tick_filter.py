"""The tick filter: which ticks it admits, and what confirms the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain.quote import Quote, Source
from app.market_data.tick_filter import RejectReason, TickFilter
from app.monitor import Monitor
from app.web.health import MONITOR_KEY
from config import ConfigurationError, Settings
from tests.support.database_state import assert_invariants
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.users import Trader

INTERVAL = 10


@pytest.fixture
def tick_filter(clock: ManualClock) -> TickFilter:
    max_age = timedelta(seconds=3 * INTERVAL)
    return TickFilter(clock, max_age=max_age, max_move=Decimal("0.2"))


@pytest.fixture
def says(tick_filter: TickFilter, clock: ManualClock) -> Callable[..., bool]:
    """Send a tick, a second after the last one; return whether the filter admits it."""

    def say(
        price: int | str,
        source: Source = Source.YAHOO,
        *,
        age: float = 0,
        symbol: str = "^NSEI",
    ) -> bool:
        clock.advance(1)
        tick = Quote(symbol, Decimal(price), source, clock.now() - timedelta(seconds=age))
        return tick_filter.admit([tick]) == [tick]

    return say


@pytest.mark.parametrize("price", ["0", "-0.01", "-25000"])
def test_a_price_that_is_not_positive_is_never_admitted(
    tick_filter: TickFilter, says: Callable[..., bool], price: str
) -> None:
    assert says(25_000)
    assert not any(says(price) for _ in range(6))
    assert not says(price, Source.ANGEL_ONE)
    assert tick_filter.rejected[RejectReason.NOT_A_PRICE] == 7
    assert tick_filter.pending == {}
    assert says(25_001)


def test_the_first_price_of_a_symbol_is_admitted(says: Callable[..., bool]) -> None:
    assert says(25_000)
    assert says(1, symbol="RELIANCE.NS")


@pytest.mark.parametrize("price", [20_000, 30_000])
def test_a_move_of_exactly_the_maximum_is_admitted(says: Callable[..., bool], price: int) -> None:
    assert says(25_000)
    assert says(price)


@pytest.mark.parametrize("price", ["19999.99", "30000.01"])
def test_a_larger_move_is_rejected_until_two_further_ticks_confirm_it(
    tick_filter: TickFilter, says: Callable[..., bool], price: str
) -> None:
    assert says(25_000)
    assert not says(price)
    assert tick_filter.pending["^NSEI"].reason is RejectReason.MOVED_TOO_FAR
    assert not says(price)
    assert says(price)
    assert tick_filter.pending == {}
    assert tick_filter.rejected == {RejectReason.MOVED_TOO_FAR: 2}
    assert says(price)


def test_a_second_real_source_confirms_immediately(says: Callable[..., bool]) -> None:
    assert says(25_000)
    assert not says(15_000)
    assert says(15_010, Source.ANGEL_ONE)


def test_a_second_source_with_another_price_does_not_confirm(says: Callable[..., bool]) -> None:
    assert says(25_000)
    assert not says(15_000)
    assert not says(5_000, Source.ANGEL_ONE)
    assert says(25_010, Source.ANGEL_ONE)


def test_a_return_to_the_old_price_clears_the_pending_tick(
    tick_filter: TickFilter, says: Callable[..., bool]
) -> None:
    assert says(25_000)
    assert not says(2_500)
    assert says(25_005)
    assert tick_filter.pending == {}
    # The earlier tick is forgotten: the next one needs two confirmations again.
    assert not says(2_500)
    assert not says(2_500)


def test_contradicting_ticks_are_all_rejected(says: Callable[..., bool]) -> None:
    assert says(25_000)
    assert not any(says(price) for price in (10_000, 50_000, 2_500, 90_000, 10_000, 50_000))


def test_a_repeated_quote_confirms_nothing(tick_filter: TickFilter, clock: ManualClock) -> None:
    tick_filter.admit([Quote("^NSEI", Decimal(25_000), Source.YAHOO, clock.now())])
    stuck = Quote("^NSEI", Decimal(2_500), Source.YAHOO, clock.now())

    assert tick_filter.admit([stuck] * 10) == []
    assert tick_filter.rejected[RejectReason.MOVED_TOO_FAR] == 10


def test_a_quote_older_than_the_pending_one_confirms_nothing(
    says: Callable[..., bool],
) -> None:
    assert says(25_000)
    assert not says(2_500)
    assert not any(says(2_500, age=20) for _ in range(5))


def test_a_pending_tick_of_one_symbol_does_not_affect_others(says: Callable[..., bool]) -> None:
    assert says(25_000)
    assert says(1_400, symbol="RELIANCE.NS")
    assert not says(2_500)
    assert says(1_401, symbol="RELIANCE.NS")


@pytest.mark.parametrize(("age", "held"), [(29, False), (30, False), (30.001, True), (600, True)])
def test_a_quote_older_than_three_intervals_is_stale(
    tick_filter: TickFilter, says: Callable[..., bool], age: float, held: bool
) -> None:
    assert says(25_000, age=age) is not held
    assert tick_filter.rejected[RejectReason.STALE] == held


def test_a_source_that_is_always_late_is_admitted_once_confirmed(
    tick_filter: TickFilter, says: Callable[..., bool]
) -> None:
    assert not says(25_000, age=900)
    assert not says(25_001, age=900)
    assert [says(25_002 + n, age=900) for n in range(5)] == [True] * 5
    assert tick_filter.rejected == {RejectReason.STALE: 2}


def test_lateness_is_known_per_symbol_until_the_source_is_on_time(
    says: Callable[..., bool],
) -> None:
    assert [says(25_000, age=900) for _ in range(3)] == [False, False, True]
    assert not says(80_000, age=900, symbol="^BSESN")
    assert not says(25_000, Source.ANGEL_ONE, age=900)
    assert says(25_000)
    assert not says(25_000, age=900)


def test_a_stuck_feed_is_not_treated_as_a_late_one(
    tick_filter: TickFilter, clock: ManualClock
) -> None:
    stuck = Quote("^NSEI", Decimal(25_000), Source.YAHOO, clock.now() - timedelta(minutes=15))
    for _ in range(10):
        clock.advance(INTERVAL)
        assert tick_filter.admit([stuck]) == []


def test_a_recording_is_never_stale_but_can_move_too_far(
    tick_filter: TickFilter, says: Callable[..., bool]
) -> None:
    assert says(25_000, Source.REPLAY, age=10**8)
    assert not says(2_500, Source.REPLAY, age=10**8)
    assert tick_filter.rejected == {RejectReason.MOVED_TOO_FAR: 1}


def test_markets_are_filtered_independently(says: Callable[..., bool]) -> None:
    assert says(25_000, Source.REPLAY)
    assert says(100, Source.MOCK)


def test_max_quote_move_is_configured(make_settings: Callable[..., Settings]) -> None:
    assert make_settings().max_quote_move == Decimal("0.2")
    assert make_settings(MAX_QUOTE_MOVE="0.05").max_quote_move == Decimal("0.05")
    with pytest.raises(ConfigurationError, match="MAX_QUOTE_MOVE"):
        make_settings(MAX_QUOTE_MOVE="0")


def test_the_monitor_applies_max_quote_move(
    make_app: Callable[..., Flask], feed: ScriptedFeed
) -> None:
    monitor = Monitor(make_app(MAX_QUOTE_MOVE="0.01"))
    feed.tick("^NSEI", 25_000)
    feed.tick("^NSEI", 25_251)
    feed.tick("^NSEI", 24_750)

    assert monitor.run_once().ticks == 2


def test_a_single_implausible_tick_closes_no_trade(
    alice: Trader, bob: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    alice.create_trade(stop_loss=24_900, target_price=25_100)
    bob.create_trade(trade_type="SELL", stop_loss=25_100, target_price=24_900)
    feed.tick("^NSEI", 25_000)
    feed.tick("^NSEI", 2_500)
    feed.tick("^NSEI", 25_001)
    feed.tick("^NSEI", 250_000)
    feed.tick("^NSEI", 25_002)

    assert monitor.run_once().closed == 0
    for trader in (alice, bob):
        (trade,) = trader.trades()
        assert trade["status"] == "ACTIVE"
        assert trade["last_price"] == 25_002.0
        assert_invariants(trader.client_id)


def test_a_crash_closes_every_trade_at_the_confirming_tick(
    alice: Trader, bob: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    for trader in (alice, bob):
        for stop_loss in (24_900, 24_000, 20_000):
            assert trader.create_trade(stop_loss=stop_loss).status_code == 201
    feed.tick("^NSEI", 25_000)
    closed = [monitor.run_once().closed]
    for price in (18_000, 17_900, 17_800, 17_700):
        clock.advance(INTERVAL)
        feed.tick("^NSEI", price)
        closed.append(monitor.run_once().closed)

    assert closed == [0, 0, 0, 6, 0]
    for trader in (alice, bob):
        assert {trade["exit_price"] for trade in trader.trades()} == {17_800.0}
        assert {trade["status"] for trade in trader.trades()} == {"STOP_LOSS_HIT"}
        assert_invariants(trader.client_id)


def test_no_trade_opens_at_an_unconfirmed_price(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    feed.tick("^NSEI", 25_000)
    feed.tick("^NSEI", 2_500)
    monitor.run_once()
    trade = alice.create_trade().get_json()
    assert trade["entry_price"] == 25_000.0
    assert alice.post(f"/trades/exit/{trade['trade_id']}").get_json()["exit_price"] == 25_000.0


def test_an_unconfirmed_price_is_shown_beside_the_last_good_one(
    client: FlaskClient, feed: ScriptedFeed, monitor: Monitor
) -> None:
    feed.tick("^NSEI", 25_000)
    monitor.run_once()
    assert client.get("/market/live/NIFTY").get_json()["unconfirmed"] is None

    doubtful = feed.tick("^NSEI", 2_500)
    monitor.run_once()

    shown = client.get("/market/live/NIFTY").get_json()
    assert shown["price"] == 25_000.0
    assert shown["unconfirmed"] == {
        "price": 2_500.0,
        "timestamp": f"{doubtful.timestamp:%Y-%m-%dT%H:%M:%S}.000Z",
        "source": "mock",
        "reason": "moved_too_far",
    }


def test_readiness_counts_the_rejected_ticks(
    app: Flask, client: FlaskClient, feed: ScriptedFeed, monitor: Monitor
) -> None:
    app.extensions[MONITOR_KEY] = monitor
    for price in (25_000, 2_500, 0, -1):
        feed.tick("^NSEI", price)
    monitor.run_once()
    feed.set("^NSEI", 25_000)

    answer = client.get("/health/ready")
    check = answer.get_json()["checks"]["market_data"]
    assert answer.status_code == 200
    assert check["held_ticks"] == {"moved_too_far": 1, "not_a_price": 2}
    assert check["unconfirmed"] == ["^NSEI"]
