"""Opening and exiting trades by REST."""

from __future__ import annotations

from app.monitor import Monitor
from tests.support.market import ScriptedFeed
from tests.support.users import Trader


def test_opening_a_trade_blocks_its_margin(alice: Trader) -> None:
    answer = alice.create_trade(quantity=10)

    assert answer.status_code == 201
    trade = answer.get_json()
    assert trade["entry_price"] == 25_000.0
    assert trade["margin_used"] == 50_000.0
    assert trade["status"] == "ACTIVE"
    assert alice.portfolio()["available_margin"] == 50_000.0
    assert alice.portfolio()["utilized_margin"] == 50_000.0


def test_a_stop_loss_closes_at_the_tick_that_crosses_it(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    trade = alice.create_trade(quantity=2, stop_loss=24_990).get_json()

    feed.tick("^NSEI", "24990.05")
    assert monitor.run_once().closed == 0
    feed.tick("^NSEI", "24989.5")
    assert monitor.run_once().closed == 1

    (closed,) = alice.trades()
    assert closed["trade_id"] == trade["trade_id"]
    assert closed["status"] == "STOP_LOSS_HIT"
    assert closed["exit_price"] == 24_989.5
    assert closed["pnl"] == -21.0
    assert alice.portfolio()["available_margin"] == 99_979.0
