"""A split never looks like a gain or a crash in what is held, before and after it is adjusted."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest

from app.domain.corporate_actions import ActionKind
from app.domain.quote import QuoteDetails
from app.market_data.corporate_actions import KnownActions
from app.monitor import Monitor
from app.services import services
from tests.support.corporate_actions import (
    OPEN,
    SHARE,
    At,
    announce,
    bought,
    show,
)
from tests.support.exchange_time import advance_to, ist
from tests.support.faults import before_command
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.users import Trader

Held = Callable[..., dict[str, Any]]
CLOSE = QuoteDetails(previous_close=Decimal(1_390))


@pytest.fixture
def held(alice: Trader, clock: ManualClock, feed: ScriptedFeed, monitor: Monitor) -> Held:
    """Have 100 bought at 1,400, the last price before the ex-date; the close before was 1,390."""

    def held(**action: Any) -> dict[str, Any]:
        trade = bought(alice)
        announce(**action)
        advance_to(clock, ist("2026-11-24 15:29"))
        feed.tick(SHARE, 1_400, CLOSE)
        monitor.run_once()
        return trade

    return held


def values(trader: Trader, trade: dict[str, Any]) -> dict[str, Any]:
    """Return what the share is worth in every report."""
    performance = trader.get(f"/trades/performance/{trader.client_id}").get_json()
    (position,) = trader.get(f"/portfolio/{trader.client_id}/positions").get_json()["positions"]
    history = trader.get(f"/portfolio/{trader.client_id}/history?period=1D").get_json()
    return {
        "equity": performance["equity"],
        "active_pnl": performance["active_pnl"],
        "market_value": position["market_value"],
        "position_pnl": position["unrealized_pnl"],
        "trade_pnl": show(trader, trade)["unrealized_pnl"],
        "last_equity": history["points"][-1]["equity"],
    }


FLAT = {
    "equity": 100_000.0,
    "active_pnl": 0.0,
    "market_value": 140_000.0,
    "position_pnl": 0.0,
    "trade_pnl": 0.0,
    "last_equity": 100_000.0,
}
ACTIONS = pytest.mark.parametrize(
    ("action", "after"),
    [
        ({}, 700),
        ({"kind": ActionKind.BONUS, "ratio": (1, 4)}, 1_120),
        ({"kind": ActionKind.SPLIT, "ratio": (10, 1)}, 140),
        ({"kind": ActionKind.SPLIT, "ratio": (1, 10)}, 14_000),
    ],
    ids=["bonus", "bonus of a fraction", "split", "consolidation"],
)


@ACTIONS
def test_adjusted_units_are_worth_the_same_until_the_first_new_price(
    alice: Trader,
    clock: ManualClock,
    monitor: Monitor,
    held: Held,
    action: dict[str, Any],
    after: int,
) -> None:
    trade = held(**action)

    advance_to(clock, ist("2026-11-25 09:15:30"))
    assert monitor.settle_gap() == 0

    assert show(alice, trade)["entry_price"] == after
    assert values(alice, trade) == FLAT
    assert show(alice, trade)["last_price"] == after
    (position,) = alice.get(f"/portfolio/{alice.client_id}/positions").get_json()["positions"]
    assert (position["last_price"], position["average_entry"]) == (after, after)
    assert position["day_pnl"] == pytest.approx(1_000)
    withdrawn = alice.post(f"/portfolio/{alice.client_id}/withdraw", {"amount": 72_001})
    assert withdrawn.get_json()["code"] == "insufficient_funds"


@ACTIONS
def test_units_are_worth_the_same_at_a_new_price_that_has_not_adjusted_them(
    alice: Trader,
    clock: ManualClock,
    feed: ScriptedFeed,
    held: Held,
    action: dict[str, Any],
    after: int,
) -> None:
    trade = held(**action)

    advance_to(clock, ist(OPEN))
    feed.set(SHARE, after)

    assert show(alice, trade)["quantity"] == 100
    assert values(alice, trade) == FLAT
    assert show(alice, trade)["last_price"] == 1_400.0


def test_a_trade_that_is_written_as_the_price_is_divided_is_worth_the_same(
    alice: Trader, bob: Trader, at: At
) -> None:
    bought(bob)
    announce()
    at("2026-11-25 09:14:59", 1_400)

    def open_() -> None:
        # Its reads belong to no transaction of the request.
        thread = Thread(target=at, args=(OPEN, 700))
        thread.start()
        thread.join()

    with before_command("insert", "trades", open_):
        late = bought(alice, quantity=10)

    assert (show(alice, late)["quantity"], show(alice, late)["unrealized_pnl"]) == (10, 0.0)
    (position,) = alice.get(f"/portfolio/{alice.client_id}/positions").get_json()["positions"]
    assert (position["quantity"], position["unrealized_pnl"]) == (20, 0.0)
    for second in (*range(8, 60, 3), 59):
        at(f"2026-11-25 09:15:{second:02}", 700)
        performance = alice.get(f"/trades/performance/{alice.client_id}").get_json()
        assert performance["active_pnl"] == 0.0
    assert show(alice, late)["quantity"] == 20


def test_the_past_equity_has_no_jump_between_an_open_and_a_late_adjustment(
    alice: Trader, clock: ManualClock, feed: ScriptedFeed, monitor: Monitor, held: Held
) -> None:
    held()
    for time, price in [("24 12", 1_400), ("24 15", 1_400), ("25 10", 700), ("25 12", 700)]:
        feed.record(SHARE, ist(f"2026-11-{time}:00"), price)
    advance_to(clock, ist("2026-11-25 14:00"))
    assert monitor.settle_gap() == 0
    advance_to(clock, ist("2026-11-25 15:10"))

    history = alice.get(f"/portfolio/{alice.client_id}/history?period=1W&interval=1h").get_json()

    equities = {point["time"]: point["equity"] for point in history["points"]}
    assert set(equities.values()) <= {None, 100_000.0}
    assert equities["2026-11-25T07:30:00.000Z"] == 100_000.0


def test_another_process_learns_that_every_trade_is_adjusted(at: At, held: Held) -> None:
    held()
    action = services().actions.of(SHARE)[0]
    for minute in range(15, 35):
        at(f"2026-11-25 09:{minute}", 700)

    follower = KnownActions(services().clock, "real")
    follower.refresh()

    assert services().actions.is_completed(action)
    assert follower.is_completed(action)
