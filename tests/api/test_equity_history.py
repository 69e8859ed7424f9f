"""The equity curve of a portfolio."""

from __future__ import annotations

from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from bson import ObjectId
from flask import Flask

from app.models.trade_bookings import MAX_AT_ONCE
from app.monitor import Monitor
from tests.support.faults import before_command
from tests.support.market import ManualClock, RemoteFeed, ScriptedFeed
from tests.support.own_client import collection
from tests.support.partial_exits import exit_part, insert_cancelled
from tests.support.responses import assert_error
from tests.support.users import Trader

# 09:30 in India.
START = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
HOUR = 3_600


def history_of(trader: Trader, query: str = "") -> dict[str, Any]:
    answer = trader.get(f"/portfolio/{trader.client_id}/history{query}")
    assert answer.status_code == 200, answer.text
    history: dict[str, Any] = answer.get_json()
    return history


def column(history: dict[str, Any], name: str) -> list[Any]:
    return [point[name] for point in history["points"]]


def record_hours(feed: ScriptedFeed, symbol: str, *closes: int) -> None:
    """Record candles of an hour, the first of the hour in which the portfolio was opened."""
    first = START - timedelta(minutes=30)
    for number, close in enumerate(closes):
        feed.record(symbol, first + timedelta(hours=number), close)


def test_a_new_portfolio_has_its_opening_and_now(alice: Trader, clock: ManualClock) -> None:
    clock.advance(60)

    assert history_of(alice) == {
        "period": "1M",
        "interval": "1m",
        "points": [
            {
                "time": time,
                "equity": 100_000.0,
                "balance": 100_000.0,
                "net_deposits": 0.0,
                "realized_pnl": 0.0,
                "unrealized_pnl": 0.0,
            }
            for time in ("2026-11-23T04:00:00.000Z", "2026-11-23T04:01:00.000Z")
        ],
    }


def test_the_curve_is_valued_at_candles_while_a_trade_is_open_and_exact_after_it(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    trade = alice.create_trade(quantity=2).get_json()["trade_id"]  # at 25,000
    record_hours(feed, "^NSEI", 25_010, 24_990)
    clock.advance(2 * HOUR)
    feed.tick("^NSEI", 25_020)
    monitor.run_once()
    alice.post(f"/trades/exit/{trade}")
    clock.advance(HOUR)
    alice.create_trade(trade_type="SELL")
    feed.tick("^NSEI", 25_025)
    monitor.run_once()

    history = history_of(alice, "?interval=1h")
    assert column(history, "time") == [
        *("2026-11-23T04:00:00.000Z", "2026-11-23T04:30:00.000Z", "2026-11-23T05:30:00.000Z"),
        *("2026-11-23T06:30:00.000Z", "2026-11-23T07:00:00.000Z"),
    ]
    assert column(history, "unrealized_pnl")[1:] == [20.0, -20.0, 0.0, -5.0]
    assert column(history, "equity")[1:] == [100_020.0, 99_980.0, 100_040.0, 100_035.0]
    assert column(history, "balance") == [100_000.0] * 3 + [100_040.0] * 2
    assert column(history, "realized_pnl") == [0.0] * 3 + [40.0] * 2


def test_a_point_without_a_known_price_has_its_balance_only(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock
) -> None:
    alice.create_trade()
    alice.create_trade(symbol="RELIANCE")
    record_hours(feed, "^NSEI", 25_010, 24_990)
    clock.advance(2 * HOUR)

    history = history_of(alice, "?interval=1h")
    assert column(history, "equity") == [None, None, None, 100_000.0]
    assert column(history, "balance") == [100_000.0] * 4


def test_an_exited_part_is_realized_and_the_rest_still_valued(
    app: Flask, alice: Trader, feed: ScriptedFeed, clock: ManualClock
) -> None:
    trade = alice.create_trade(quantity=3).get_json()["trade_id"]
    insert_cancelled(app, alice.client_id)
    record_hours(feed, "^NSEI", 25_010, 25_020, 25_030)
    clock.advance(HOUR)  # 10:30: after the first candle
    feed.set("^NSEI", 25_015)
    exit_part(app, alice.client_id, trade, 2)
    clock.advance(2 * HOUR)
    feed.set("^NSEI", 25_040)
    alice.post(f"/trades/exit/{trade}")

    history = history_of(alice, "?interval=1h")
    assert column(history, "realized_pnl") == [0.0, 0.0, 30.0, 30.0, 70.0]
    assert column(history, "unrealized_pnl")[1:] == [30.0, 20.0, 30.0, 0.0]
    assert column(history, "equity")[1:] == [100_030.0, 100_050.0, 100_060.0, 100_070.0]


def test_deposits_and_withdrawals_change_the_balance_and_not_the_profit(
    alice: Trader, clock: ManualClock
) -> None:
    for kind, amount in (("deposit", 20_000), ("withdraw", 5_000)):
        clock.advance(HOUR)
        assert (
            alice.post(f"/portfolio/{alice.client_id}/{kind}", {"amount": amount}).status_code < 300
        )
    clock.advance(HOUR)

    history = history_of(alice, "?interval=1h")
    assert column(history, "net_deposits") == [0.0, 0.0, 20_000.0, 15_000.0, 15_000.0]
    assert column(history, "equity") == [100_000.0, 100_000.0, 120_000.0, 115_000.0, 115_000.0]
    assert set(column(history, "realized_pnl")) == {0.0}


def test_many_trades_of_uneven_days_are_all_on_the_curve(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock
) -> None:
    opened = alice.create_trade().get_json()["trade_id"]
    feed.set("^NSEI", 25_001)
    clock.advance(30)
    alice.post(f"/trades/exit/{opened}")
    trade = collection("trades").find_one({"user_id": alice.client_id})
    assert trade is not None
    # As many as are read at once in the first minutes, as many in three days.
    times = [START + timedelta(seconds=number / 2) for number in range(2, MAX_AT_ONCE)]
    times += [START + timedelta(minutes=4 * number) for number in range(MAX_AT_ONCE)]
    copies = [
        {**trade, "_id": ObjectId(), "number": number, "created_at": time, "closed_at": time}
        for number, time in enumerate(times, 2)
    ]
    collection("trades").insert_many(copies)
    count = len(copies) + 1
    sums = {"trade_count": count, "closed_count": count, "total_pnl": Decimal(count)}
    collection("portfolios").update_one({}, {"$set": sums})
    clock.advance(3 * 24 * HOUR)

    history = history_of(alice, "?period=ALL&interval=1h")
    closed = sorted(each["closed_at"] for each in [trade, *copies])
    for point in history["points"][1:]:
        time = datetime.fromisoformat(point["time"])
        assert point["realized_pnl"] == bisect_right(closed, time), time


class TestRealSource:
    @pytest.fixture
    def feed(self, clock: ManualClock) -> RemoteFeed:
        feed = RemoteFeed(clock)
        feed.set("^NSEI", 25_000)
        return feed

    def test_a_real_source_is_not_asked_for_past_prices(
        self, alice: Trader, feed: RemoteFeed, clock: ManualClock
    ) -> None:
        alice.create_trade()
        record_hours(feed, "^NSEI", 25_010, 24_990)
        clock.advance(2 * HOUR)
        feed.asked.clear()
        feed.is_away = True

        history = history_of(alice, "?interval=1h")
        assert column(history, "equity") == [None, None, None, 100_000.0]
        assert feed.asked == []


def test_a_period_begins_within_the_life_of_the_portfolio(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock
) -> None:
    trade = alice.create_trade().get_json()["trade_id"]
    feed.set("^NSEI", 25_100)
    clock.advance(30)
    alice.post(f"/trades/exit/{trade}")
    clock.advance(3 * 24 * HOUR)

    day = history_of(alice, "?period=1D&interval=1h")
    assert (len(day["points"]), day["points"][0]["time"]) == (26, "2026-11-25T04:00:30.000Z")
    assert set(column(day, "realized_pnl")) == {100.0}
    everything = history_of(alice, "?period=all&interval=1d")
    assert column(everything, "time") == [
        *("2026-11-23T04:00:00.000Z", "2026-11-23T18:30:00.000Z", "2026-11-24T18:30:00.000Z"),
        *("2026-11-25T18:30:00.000Z", "2026-11-26T04:00:30.000Z"),
    ]
    assert column(everything, "realized_pnl") == [0.0, 100.0, 100.0, 100.0, 100.0]


@pytest.mark.parametrize(
    ("period", "interval"), [("1D", "5m"), ("1W", "15m"), ("1M", "1h"), ("3M", "1d"), ("ALL", "1d")]
)
def test_the_default_interval_is_the_shortest_that_fits(
    alice: Trader, clock: ManualClock, period: str, interval: str
) -> None:
    clock.advance(2_000 * 24 * HOUR)

    history = history_of(alice, f"?period={period}")
    assert history["interval"] == interval
    assert len(history["points"]) <= 1_001


def test_too_many_points_are_refused_with_the_shortest_interval_that_fits(
    alice: Trader, clock: ManualClock
) -> None:
    clock.advance(40 * 24 * HOUR)

    answer = alice.get(f"/portfolio/{alice.client_id}/history?period=1M&interval=5m")
    assert assert_error(answer, 400, "invalid_range") == {
        "interval": "must be 1h or longer: a history has at most 1,000 points"
    }


@pytest.mark.parametrize(
    ("query", "field"),
    [("period=1m", "period"), ("period=2W", "period"), ("interval=1M", "interval"), ("x=1", "x")],
)
def test_a_query_that_cannot_be_used_is_refused_by_name(
    alice: Trader, query: str, field: str
) -> None:
    answer = alice.get(f"/portfolio/{alice.client_id}/history?{query}")
    assert set(assert_error(answer, 400, "validation_error")) == {field}


def test_anothers_history_is_forbidden(alice: Trader, bob: Trader) -> None:
    assert_error(bob.get(f"/portfolio/{alice.client_id}/history"), 403, "forbidden")


def test_a_history_without_a_portfolio_is_a_404(carol: Trader) -> None:
    answer = carol.get(f"/portfolio/{carol.client_id}/history")
    assert_error(answer, 404, "portfolio_not_found")


def test_a_trade_that_closes_during_the_read_is_all_in_it_or_not_at_all(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    trade = alice.create_trade(quantity=2).get_json()["trade_id"]
    record_hours(feed, "^NSEI", 25_000, 25_000)
    clock.advance(HOUR)
    feed.tick("^NSEI", 25_020)
    monitor.run_once()

    def close() -> None:
        with ThreadPoolExecutor(1) as pool:
            exited = pool.submit(alice.post, f"/trades/exit/{trade}").result()
        assert exited.get_json()["pnl"] == 40.0

    with before_command("find", "trades", close):
        during = history_of(alice, "?interval=1h")
    after = history_of(alice, "?interval=1h")
    assert column(during, "realized_pnl") == [0.0] * 3
    assert column(during, "unrealized_pnl")[-1] == 40.0
    assert column(during, "balance") == [100_000.0] * 3
    assert column(after, "realized_pnl") == [0.0, 0.0, 40.0]
    assert column(during, "equity") == column(after, "equity")
