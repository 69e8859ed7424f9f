"""`flask verify`: each figure of a trade follows from its evidence, or the difference is shown."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from bson import ObjectId
from click.testing import Result
from flask import Flask

from app.monitor import Monitor
from tests.support.database_state import all_documents
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.own_client import collection
from tests.support.users import Trader

Verify = Callable[[str], Result]


@pytest.fixture
def verify(app: Flask) -> Verify:
    runner = app.test_cli_runner()
    return lambda trade_id: runner.invoke(args=["verify", trade_id])


@pytest.fixture
def move(feed: ScriptedFeed, clock: ManualClock, monitor: Monitor) -> Callable[[int | str], None]:
    """Move NIFTY to a price, and settle what it causes."""

    def move(price: int | str) -> None:
        clock.advance(60)
        feed.tick("^NSEI", price)
        monitor.run_once()

    return move


# An order of NIFTY at 25,000, prices after it, and how it ends.
LIVES: dict[str, tuple[dict[str, Any], list[int], str]] = {
    "stop": ({"stop_loss": 24_900}, [24_950, 24_890], "STOP_LOSS_HIT"),
    "target": ({"target_price": 25_100}, [25_150], "TARGET_HIT"),
    "short": ({"trade_type": "SELL", "target_price": 24_900}, [24_850], "TARGET_HIT"),
    "trailing": ({"trailing_offset": 50}, [25_100, 25_040], "TRAILING_STOP_HIT"),
    "limit": (
        {"order_type": "LIMIT", "limit_price": 24_900, "stop_loss": 24_800},
        [24_890, 24_790],
        "STOP_LOSS_HIT",
    ),
    "stop entry": (
        {"order_type": "STOP", "stop_price": 25_100, "target_price": 25_200},
        [25_110, 25_210],
        "TARGET_HIT",
    ),
    "stop-limit": (
        {"order_type": "STOP_LIMIT", "stop_price": 25_100, "limit_price": 25_150},
        [25_120],
        "ACTIVE",
    ),
}


@pytest.mark.parametrize("life", LIVES)
def test_every_figure_of_a_trade_follows_from_its_evidence(
    alice: Trader, verify: Verify, move: Callable[[int | str], None], life: str
) -> None:
    order, prices, status = LIVES[life]
    trade = alice.create_trade(quantity=2, **order).get_json()
    for price in prices:
        move(price)
    assert alice.trades()[0]["status"] == status
    before = all_documents()

    result = verify(trade["trade_id"])

    assert result.exit_code == 0, result.output
    assert "agree with what is recorded" in result.output
    assert all_documents() == before


@pytest.mark.parametrize("profile", ["realistic", "harsh"])
@pytest.mark.parametrize("life", ["stop", "target", "short", "trailing", "limit", "stop entry"])
def test_a_price_with_slippage_follows_from_its_quote_and_its_seed(
    alice: Trader,
    verify: Verify,
    move: Callable[[int | str], None],
    profile: str,
    life: str,
) -> None:
    alice.patch(f"/portfolio/{alice.client_id}", {"fill_profile": profile})
    order, prices, status = LIVES[life]
    trade = alice.create_trade(quantity=2, **order).get_json()
    assert trade["fill_profile"] == profile
    for price in prices:
        move(price)
    assert alice.trades()[0]["status"] in (status, "REJECTED")

    result = verify(trade["trade_id"])

    assert result.exit_code == 0, result.output
    assert f"Its fill profile is {profile}" in result.output
    assert alice.trades()[0]["status"] == "REJECTED" or "Slippage of" in result.output


def assert_change_is_found(
    verify: Verify, trade_id: str, change: dict[str, Any], step: str
) -> None:
    """Change the stored trade; check that the command fails and does not confirm the step."""
    collection("trades").update_one({"_id": ObjectId(trade_id)}, {"$set": change})

    result = verify(trade_id)

    assert result.exit_code == 1
    (line, *_) = [line for line in result.output.splitlines() if step in line]
    assert not line.rstrip().endswith("ok")


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({"exit_price": Decimal(24_890)}, "Exit 1"),
        ({"exit_slippage.spread": Decimal(8)}, "Slippage of exit 1"),
        ({"exit_slippage.amount": Decimal(4)}, "Slippage of exit 1"),
        ({"entry_slippage.latency": 3}, "Slippage of entry"),
        ({"fill_model.slippage_bps": Decimal(3)}, "Slippage of entry"),
    ],
)
def test_a_slippage_that_does_not_follow_is_shown_and_the_command_fails(
    alice: Trader,
    verify: Verify,
    move: Callable[[int | str], None],
    change: dict[str, Any],
    step: str,
) -> None:
    alice.patch(f"/portfolio/{alice.client_id}", {"fill_profile": "realistic"})
    trade = alice.create_trade(quantity=2, stop_loss=24_900).get_json()
    move(24_890)
    assert verify(trade["trade_id"]).exit_code == 0
    assert_change_is_found(verify, trade["trade_id"], change, step)


def test_a_trade_that_was_exited_in_parts_is_verified_part_by_part(
    alice: Trader, verify: Verify, move: Callable[[int | str], None]
) -> None:
    trade = alice.create_trade(quantity=7, stop_loss=24_900).get_json()
    for quantity, price in ((1, "25010.05"), (3, "25020.10")):
        move(price)
        alice.post(f"/trades/exit/{trade['trade_id']}", {"quantity": quantity})
    move(24_890)

    result = verify(trade["trade_id"])

    assert result.exit_code == 0, result.output
    for name in ("Exit 1 of 1 (user)", "Exit 2 of 3 (user)", "Exit 3 of 3 (stop_loss)"):
        assert name in result.output


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({"exit_price": Decimal(25_150)}, "Exit 1"),
        ({"exit_quote_price": Decimal(25_050)}, "did not reach"),
        ({"pnl": Decimal(1)}, "P&L"),
        ({"entry_price": Decimal(24_999)}, "Entry"),
        ({"margin_used": Decimal(9_999)}, "Margin used"),
        ({"target_price": Decimal(25_120)}, "Exit 1"),
    ],
)
def test_a_figure_that_does_not_follow_is_shown_and_the_command_fails(
    alice: Trader,
    verify: Verify,
    move: Callable[[int | str], None],
    change: dict[str, Any],
    step: str,
) -> None:
    trade = alice.create_trade(quantity=2, target_price=25_100).get_json()
    move(25_150)
    assert_change_is_found(verify, trade["trade_id"], change, step)


LIMIT = {"order_type": "LIMIT", "limit_price": 24_900}


def test_an_order_without_a_fill_is_verified_by_its_margin(alice: Trader, verify: Verify) -> None:
    waiting = alice.create_trade(**LIMIT).get_json()["trade_id"]
    cancelled = alice.create_trade(**LIMIT).get_json()["trade_id"]
    alice.post(f"/trades/cancel/{cancelled}")
    at_once = alice.create_trade(**LIMIT, time_in_force="IOC").get_json()["trade_id"]

    for trade_id, status, end in (
        (waiting, "PENDING", "."),
        (cancelled, "CANCELLED", ": user."),
        (at_once, "CANCELLED", ": ioc."),
    ):
        result = verify(trade_id)
        assert result.exit_code == 0, result.output
        assert f"is {status}." in result.output
        assert f"Its LIMIT order at ₹24,900.00 has no fill{end}" in result.output
        assert "Margin blocked" in result.output
    margin = {"$set": {"margin_used": Decimal(1)}}
    collection("trades").update_one({"_id": ObjectId(waiting)}, margin)
    assert verify(waiting).exit_code == 1


def test_a_pair_and_what_is_left_of_a_trade_are_shown(
    alice: Trader, verify: Verify, move: Callable[[int | str], None]
) -> None:
    order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 2}
    stop = {"order_type": "STOP", "stop_price": 25_100}
    pair = alice.post("/trades/oco", {"orders": [{**order, **LIMIT}, {**order, **stop}]})
    limit_id, stop_id = (trade["trade_id"] for trade in pair.get_json()["trades"])
    move(25_110)
    alice.post(f"/trades/exit/{stop_id}", {"quantity": 1})

    filled, cancelled = verify(stop_id), verify(limit_id)
    assert filled.exit_code == cancelled.exit_code == 0
    assert "1 of 2 are still held." in filled.output
    assert f"The other order of its pair is {limit_id}." in filled.output
    assert "has no fill: oco." in cancelled.output


@pytest.mark.parametrize("unknown", ["0" * 24, "no-id"])
def test_an_unknown_trade_is_named(verify: Verify, app: Flask, unknown: str) -> None:
    result = verify(unknown)

    assert result.exit_code == 1
    assert f"There is no trade '{unknown}'." in result.output
