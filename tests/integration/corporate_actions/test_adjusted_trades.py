"""A split, a bonus or a dividend never looks like a crash to trades and alerts."""

from __future__ import annotations

import pytest

from app.domain.corporate_actions import ActionKind
from app.domain.quote import Source
from app.portfolio.reconciliation import find_differences
from tests.support.corporate_actions import (
    OPEN,
    SHARE,
    At,
    announce,
    assert_exact,
    bought,
    show,
)
from tests.support.database_state import documents
from tests.support.market import ScriptedFeed
from tests.support.responses import assert_error
from tests.support.retries import assert_same, exit_path, send
from tests.support.users import Trader


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


def test_a_retry_of_a_part_exited_before_a_bonus_gets_the_first_answer(
    alice: Trader, at: At
) -> None:
    at("2026-11-24 10:00", 1_400)
    trade = alice.create_trade(symbol=SHARE, quantity=4).get_json()
    first = send(alice, exit_path(trade), "k", {"quantity": 1})
    announce()

    at(OPEN, 700)

    assert show(alice, trade)["open_quantity"] == 6
    assert_same(send(alice, exit_path(trade), "k", {"quantity": 1}), first)
