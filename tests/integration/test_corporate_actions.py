"""Corporate actions: a split, a bonus or a dividend never looks like a crash."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from app.cli import verify
from app.database.batches import LeaseLost
from app.domain.corporate_actions import ActionKind, CorporateAction, Ratio
from app.domain.money import ZERO
from app.domain.quote import Source
from app.models import Trade
from app.models.stored_action import StoredAction, find_settled_early
from app.monitor import Monitor
from app.portfolio.reconciliation import find_differences
from app.services import now, services
from app.trades.adjusting import adjust_trades
from app.trades.trailing import TrailingStops
from tests.support.database_state import documents
from tests.support.exchange_time import advance_to, ist
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error
from tests.support.users import Trader

SHARE = "RELIANCE.NS"
EX_DATE = date(2026, 11, 25)
OPEN = "2026-11-25 09:15"
SKIPS_REFRESH = 6

At = Callable[[str, Any], None]


@pytest.fixture(autouse=True)
def context(app_context: Flask) -> Flask:
    return app_context


@pytest.fixture
def at(clock: ManualClock, feed: ScriptedFeed, monitor: Monitor) -> At:
    """Let it be a time in India, and the share come to a price."""

    def at(time: str, price: Any) -> None:
        advance_to(clock, ist(time))
        feed.tick(SHARE, price)
        monitor.run_once()

    return at


def announce(
    kind: ActionKind = ActionKind.BONUS,
    ratio: tuple[int, int] | None = (1, 1),
    amount: int | None = None,
) -> CorporateAction:
    """Store an action with the ex-date EX_DATE; by default a bonus of one unit for each."""
    session = services().calendar.ordinary_session(EX_DATE)
    action = CorporateAction(
        SHARE,
        EX_DATE,
        kind,
        session.pre_open,
        session.open,
        Ratio(*ratio) if ratio else None,
        None if amount is None else Decimal(amount),
    )
    assert StoredAction.add(action, "file", now())
    StoredAction.count_load()
    return action


def show(trader: Trader, trade: dict[str, Any]) -> dict[str, Any]:
    path = f"/trades/{trader.client_id}/{trade['trade_id']}"
    shown: dict[str, Any] = trader.get(path).get_json()
    return shown


def bought(trader: Trader, **order: Any) -> dict[str, Any]:
    """Return a trade of 100 at 1,400, by default a BUY."""
    answer = trader.create_trade(**{"symbol": SHARE, "quantity": 100, **order})
    assert answer.status_code == 201, answer.text
    trade: dict[str, Any] = answer.get_json()
    return trade


def assert_exact(trader: Trader, *trades: dict[str, Any]) -> None:
    """Assert that the books agree, and that each trade follows from its evidence."""
    assert find_differences(trader.client_id) == []
    shown = trader.portfolio()
    balance = Decimal(str(shown["available_margin"])) + Decimal(str(shown["utilized_margin"]))
    assert balance == 100_000 + Decimal(str(shown["total_pnl"]))
    for trade in trades:
        (stored,) = [Trade.from_document(each) for each in documents("trades", number=1)][:1]
        assert str(stored.id) == trade["trade_id"]
        assert [step for step in verify._derive(stored) if not step.agrees] == []
    activities = trader.get(f"/portfolio/{trader.client_id}/activities").get_json()["activities"]
    assert Decimal(str(activities[-1]["balance"])) == 100_000


@pytest.mark.parametrize(
    ("side", "stop", "target", "stop_after", "target_after"),
    [("BUY", 1_300, 1_600, 650, 800), ("SELL", 1_500, 1_200, 750, 600)],
)
def test_a_bonus_doubles_the_units_and_halves_the_prices(
    alice: Trader, at: At, side: str, stop: int, target: int, stop_after: int, target_after: int
) -> None:
    trade = bought(alice, trade_type=side, stop_loss=stop, target_price=target)
    at("2026-11-24 15:29", 1_400)
    margin = alice.portfolio()["utilized_margin"]
    announce()

    at(OPEN, 700)

    shown = show(alice, trade)
    assert (shown["status"], shown["quantity"], shown["open_quantity"]) == ("ACTIVE", 200, 200)
    assert (shown["entry_price"], shown["unrealized_pnl"], shown["pnl"]) == (700.0, 0.0, None)
    assert (shown["stop_loss"], shown["target_price"]) == (stop_after, target_after)
    assert shown["fills"][0]["quantity"] == 100
    assert shown["fills"][0]["price"] == 1_400.0
    (adjustment,) = shown["adjustments"]
    assert (adjustment["ratio"], adjustment["quantity_before"]) == ("1:1", 100)
    assert alice.portfolio()["utilized_margin"] == margin
    (event,) = documents("notifications", type="trade_adjusted")
    assert event["message"] == (
        f"1:1 bonus: your {side} of 100 RELIANCE.NS is 200 at ₹700.00 now with stop-loss "
        f"₹{stop_after}.00 and target ₹{target_after}.00."
    )
    assert_exact(alice, trade)

    at("2026-11-25 09:16", stop_after)

    shown = show(alice, trade)
    assert (shown["status"], shown["pnl"]) == ("STOP_LOSS_HIT", -10_000.0)
    assert_exact(alice, trade)


def test_a_trade_with_slippage_is_adjusted_and_verified_as_any_other(alice: Trader, at: At) -> None:
    alice.patch(f"/portfolio/{alice.client_id}", {"fill_profile": "realistic"})
    trade = bought(alice, stop_loss=1_300, target_price=1_600)
    at("2026-11-24 15:29", 1_400)
    announce()

    at(OPEN, 700)
    assert (show(alice, trade)["status"], show(alice, trade)["entry_price"]) == ("ACTIVE", 700.15)
    at("2026-11-25 09:30", 645)

    shown = show(alice, trade)
    assert (shown["status"], shown["exit_price"]) == ("STOP_LOSS_HIT", 644.8)
    assert [(fill["price"], fill["slippage"]) for fill in shown["fills"]] == [
        (1_400.3, 0.3),
        (644.8, 0.2),
    ]
    assert_exact(alice, trade)


def test_levels_of_before_hold_until_the_open_of_the_ex_date(alice: Trader, at: At) -> None:
    trade = bought(alice, stop_loss=1_300)
    announce()

    at("2026-11-24 12:00", 1_299)

    shown = show(alice, trade)
    assert (shown["status"], shown["exit_price"], shown["quantity"]) == (
        "STOP_LOSS_HIT",
        1_299,
        100,
    )


def test_a_price_of_the_pre_open_settles_nothing(alice: Trader, at: At, feed: ScriptedFeed) -> None:
    feed.source = Source.REPLAY
    feed.set(SHARE, 1_400)
    trade = bought(alice, stop_loss=1_300)
    announce()
    at("2026-11-24 15:29", 1_400)

    at("2026-11-25 09:08", 700)

    assert show(alice, trade)["quantity"] == 100
    assert show(alice, trade)["status"] == "ACTIVE"


def test_a_pending_limit_waits_for_the_divided_price(alice: Trader, at: At) -> None:
    trade = bought(alice, order_type="LIMIT", limit_price=1_380.5, stop_loss=1_300)
    announce()

    at(OPEN, 700)

    shown = show(alice, trade)
    assert (shown["status"], shown["quantity"], shown["limit_price"]) == ("PENDING", 200, 690.2)
    assert shown["stop_loss"] == 650.0
    assert shown["margin_used"] == trade["margin_used"] == 27_610.0
    assert_exact(alice, trade)
    at("2026-11-25 09:16", "690.20")
    shown = show(alice, trade)
    assert (shown["status"], shown["entry_price"], shown["open_quantity"]) == ("ACTIVE", 690.2, 200)
    assert_exact(alice, trade)


@pytest.mark.parametrize(
    ("side", "best", "level", "kept"), [("BUY", 1_450, 705, 706), ("SELL", 1_350, 695, 694)]
)
def test_a_trailing_stop_follows_on_from_where_it_was(
    alice: Trader, at: At, side: str, best: int, level: int, kept: int
) -> None:
    trade = bought(alice, trade_type=side, trailing_offset=40)
    at("2026-11-24 15:29", best)
    announce()

    at(OPEN, kept)

    shown = show(alice, trade)
    assert (shown["status"], shown["trailing_offset"]) == ("ACTIVE", 20.0)
    assert shown["trailing_stop"] == level
    at("2026-11-25 09:16", level)
    shown = show(alice, trade)
    assert (shown["status"], shown["exit_price"]) == ("TRAILING_STOP_HIT", level)
    assert_exact(alice, trade)


def test_an_alert_waits_for_the_divided_level(alice: Trader, at: At) -> None:
    alert = {"symbol": SHARE, "below": 1_300, "above": 1_500.1}
    assert alice.post("/market/alerts", alert).status_code == 201
    announce()

    at(OPEN, 700)

    (shown,) = alice.get("/market/alerts").get_json()["alerts"]
    assert (shown["status"], shown["below"], shown["above"]) == ("ACTIVE", 650.0, 750.1)
    at("2026-11-25 09:16", 650)
    (shown,) = alice.get("/market/alerts").get_json()["alerts"]
    assert (shown["status"], shown["price"]) == ("TRIGGERED", 650.0)


def test_a_fraction_of_a_share_is_paid_at_the_last_close(alice: Trader, at: At) -> None:
    trade = bought(alice, quantity=101)
    announce(ratio=(3, 2))
    at("2026-11-24 15:29", 1_410)

    at(OPEN, 564)

    # 252.5 shares: half a share at 564 is 282, and cost 280.
    shown = show(alice, trade)
    assert (shown["quantity"], shown["entry_price"], shown["pnl"]) == (252, 560.0, 2.0)
    assert shown["unrealized_pnl"] == 252 * 4.0
    activities = alice.get(f"/portfolio/{alice.client_id}/activities").get_json()["activities"]
    assert [each["kind"] for each in activities] == ["corporate_action", "opening"]
    assert activities[0]["trade_id"] == trade["trade_id"]
    assert_exact(alice, trade)


def test_a_split_that_cannot_be_divided_keeps_every_paisa(alice: Trader, at: At) -> None:
    trade = bought(alice, quantity=7)
    announce(ActionKind.SPLIT, (3, 1))
    at("2026-11-24 15:29", 1_400)

    at(OPEN, "466.65")

    # Seven at 1,400 cost 9,800; 21 at 466.67 would cost 9,800.07.
    shown = show(alice, trade)
    assert (shown["quantity"], shown["entry_price"], shown["pnl"]) == (21, 466.67, 0.07)
    assert shown["unrealized_pnl"] == -0.42
    assert_exact(alice, trade)


def test_parts_exited_before_and_after_add_up(alice: Trader, at: At) -> None:
    trade = bought(alice)
    at("2026-11-24 12:00", 1_450)
    assert alice.post(f"/trades/exit/{trade['trade_id']}", {"quantity": 33}).status_code == 200
    announce()
    at(OPEN, 725)
    assert_exact(alice, trade)
    assert alice.post(f"/trades/exit/{trade['trade_id']}", {"quantity": 34}).status_code == 200
    assert_exact(alice, trade)

    alice.post(f"/trades/exit/{trade['trade_id']}")

    shown = show(alice, trade)
    assert (shown["status"], shown["pnl"], shown["exit_price"]) == ("CLOSED", 5_000.0, 725.0)
    assert alice.portfolio()["utilized_margin"] == 0.0
    assert_exact(alice, trade)


def test_a_dividend_is_credited_to_what_is_long_and_debited_to_what_is_short(
    alice: Trader, bob: Trader, at: At
) -> None:
    long, short = bought(alice), bought(bob, trade_type="SELL")
    bought(alice, order_type="LIMIT", limit_price=1_000)
    announce(ActionKind.DIVIDEND, None, 10)

    at(OPEN, 1_390)

    assert alice.portfolio()["total_pnl"] == 1_000.0
    assert bob.portfolio()["total_pnl"] == -1_000.0
    assert show(alice, long)["pnl"] == 1_000.0
    assert show(bob, short)["entry_price"] == 1_400.0
    messages = [each["message"] for each in documents("notifications", type="trade_adjusted")]
    assert messages == [
        "Dividend of ₹10.00 a share: ₹1,000.00 credited for your BUY of 100 RELIANCE.NS.",
        "Dividend of ₹10.00 a share: ₹1,000.00 debited for your SELL of 100 RELIANCE.NS.",
    ]
    assert_exact(alice, long)
    assert find_differences(bob.client_id) == []


def test_a_trade_of_the_ex_date_is_left_as_it_is(alice: Trader, at: At) -> None:
    at("2026-11-24 15:29", 1_400)
    announce()
    at(OPEN, 700)

    trade = bought(alice, stop_loss=650)
    at("2026-11-25 09:20", 690)

    shown = show(alice, trade)
    assert (shown["status"], shown["quantity"], shown["adjustments"]) == ("ACTIVE", 100, [])


def test_an_action_counts_once_whoever_applies_it_again(
    app: Flask, alice: Trader, at: At, clock: ManualClock, feed: ScriptedFeed
) -> None:
    trade = bought(alice, stop_loss=1_300)
    action = announce()
    at("2026-11-24 15:29", 1_400)
    # A leader that is killed after the trades, and before anything else.
    assert adjust_trades(action, ZERO, TrailingStops("board", clock)) == 1

    at(OPEN, 700)
    clock.advance(SKIPS_REFRESH)
    other = Monitor(app)
    feed.tick(SHARE, 701)
    other.run_once()

    assert show(alice, trade)["quantity"] == 200
    assert len(show(alice, trade)["adjustments"]) == 1
    assert len(documents("notifications", type="trade_adjusted")) == 1
    assert_exact(alice, trade)


def test_a_leader_that_is_stopped_halfway_leaves_the_rest_to_the_next(
    app: Flask, alice: Trader, bob: Trader, at: At, clock: ManualClock
) -> None:
    trades = {trader.client_id: bought(trader) for trader in (alice, bob)}
    action = announce()
    at("2026-11-24 15:29", 1_400)
    app.config["WRITE_BATCH_SIZE"] = 1
    transactions = 0

    def lose_the_second(_symbols: Collection[str]) -> None:
        nonlocal transactions
        transactions += 1
        if transactions == 2:
            raise LeaseLost

    with pytest.raises(LeaseLost):
        adjust_trades(action, Decimal(1_400), TrailingStops("board", clock), lose_the_second)
    assert len(documents("notifications", type="trade_adjusted")) == 1

    at(OPEN, 700)

    for trader in (alice, bob):
        shown = show(trader, trades[trader.client_id])
        assert (shown["quantity"], len(shown["adjustments"])) == (200, 1)
        assert find_differences(trader.client_id) == []
    assert len(documents("notifications", type="trade_adjusted")) == 2


def test_an_action_is_done_once_no_trade_can_be_missed(
    alice: Trader, at: At, clock: ManualClock, monitor: Monitor
) -> None:
    bought(alice)
    announce()
    at(OPEN, 700)
    assert documents("corporate_actions", symbol=SHARE)[0].get("applied_at") is None

    for _ in range(6):
        clock.advance(200)
        monitor.run_once()

    assert documents("corporate_actions", symbol=SHARE)[0]["applied_at"] == now()


def test_a_gap_across_the_ex_date_meets_each_price_with_its_own_levels(
    alice: Trader,
    bob: Trader,
    feed: ScriptedFeed,
    clock: ManualClock,
    monitor: Monitor,
) -> None:
    tight, wide = bought(alice, stop_loss=1_395), bought(bob, stop_loss=1_300)
    announce()
    clock.advance(1)
    monitor.run_once()
    feed.record(SHARE, ist("2026-11-24 15:00"), 1_400, 1_390, 1_410)
    feed.record(SHARE, ist("2026-11-25 09:15"), 705, 690, 700)
    feed.record(SHARE, ist("2026-11-25 09:16"), 700, 640, 645)
    advance_to(clock, ist("2026-11-25 10:00"))

    assert monitor.settle_gap() == 2

    shown = show(alice, tight)
    assert (shown["quantity"], shown["exit_price"]) == (100, 1_395.0)
    shown = show(bob, wide)
    assert (shown["quantity"], shown["exit_price"], shown["pnl"]) == (200, 650.0, -10_000.0)
    assert shown["settled_from"] == "gap"
    assert find_differences(alice.client_id) == find_differences(bob.client_id) == []


def test_an_action_known_after_the_open_releases_the_held_tick(
    alice: Trader, at: At, clock: ManualClock, monitor: Monitor, feed: ScriptedFeed
) -> None:
    trade = bought(alice, stop_loss=1_300)
    at("2026-11-24 15:29", 1_400)
    at(OPEN, 700)
    assert SHARE in services().quotes.tick_filter.pending

    announce()
    clock.advance(SKIPS_REFRESH)
    monitor.run_once()

    assert services().quotes.tick_filter.pending == {}
    assert show(alice, trade)["status"] == "ACTIVE"
    assert show(alice, trade)["quantity"] == 200


def test_what_fired_before_the_action_was_known_is_reported_and_not_undone(
    alice: Trader, at: At
) -> None:
    trade = bought(alice, stop_loss=1_300)
    at("2026-11-24 15:29", 1_400)
    for second in range(4):
        at(f"2026-11-25 09:15:{second:02}", 700 + second)
    assert show(alice, trade)["status"] == "STOP_LOSS_HIT"

    action = announce()

    assert [str(each.id) for each in find_settled_early(action)] == [trade["trade_id"]]
    at("2026-11-25 09:16", 705)
    assert show(alice, trade)["quantity"] == 100


def test_a_trade_that_waits_for_its_adjustment_is_not_exited(
    alice: Trader, at: At, feed: ScriptedFeed, clock: ManualClock
) -> None:
    trade = bought(alice)
    announce()
    at("2026-11-24 15:29", 1_400)
    advance_to(clock, ist(OPEN))
    feed.tick(SHARE, 700)

    answer = alice.post(f"/trades/exit/{trade['trade_id']}")

    assert_error(answer, 503, "market_data_unavailable")


def test_a_merger_cancels_orders_and_flags_what_is_held(alice: Trader, at: At) -> None:
    held = bought(alice)
    waiting = bought(alice, quantity=1, order_type="LIMIT", limit_price=1_000)
    announce(ActionKind.MERGER, None)

    at(OPEN, 1_400)

    assert show(alice, waiting)["status"] == "CANCELLED"
    assert show(alice, waiting)["end_reason"] == "corporate_action"
    assert show(alice, held)["status"] == "ACTIVE"
    assert [each["kind"] for each in show(alice, held)["adjustments"]] == ["merger"]
    assert_exact(alice, held)


def test_the_known_actions_are_listed(alice: Trader) -> None:
    announce()

    answer = alice.get("/market/corporate-actions?symbol=reliance").get_json()

    assert answer == {
        "corporate_actions": [
            {
                "symbol": SHARE,
                "ex_date": "2026-11-25",
                "kind": "bonus",
                "ratio": "1:1",
                "amount": None,
                "source": "file",
                "applied_at": None,
            }
        ]
    }
    assert_error(alice.get("/market/corporate-actions?symbol=NONE"), 404, "unknown_symbol")
