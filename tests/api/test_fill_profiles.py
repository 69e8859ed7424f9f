"""Fill profiles of portfolios: slippage, touched limits and rejected orders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain.fill_profile import FillModel, FillProfile, trade_seed
from app.domain.quote import NO_DETAILS, QuoteDetails
from app.models import Trade
from app.monitor import Monitor
from tests.support.database_state import assert_invariants, documents
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import PORTFOLIO, TRADE, assert_error, assert_shape
from tests.support.users import Trader, sign_up

Move = Callable[[int | str], None]
SPREAD = QuoteDetails(bid=Decimal("1399.80"), ask=Decimal("1400.20"))
RELIANCE = {"symbol": "RELIANCE.NS", "quantity": 10}


@pytest.fixture
def realistic(alice: Trader) -> Trader:
    """alice, whose portfolio is filled realistically."""
    answer = alice.patch(f"/portfolio/{alice.client_id}", {"fill_profile": "realistic"})
    assert answer.status_code == 200, answer.text
    assert_shape(answer.get_json(), PORTFOLIO)
    assert answer.get_json()["fill_profile"] == "realistic"
    return alice


@pytest.fixture
def move(feed: ScriptedFeed, clock: ManualClock, monitor: Monitor) -> Move:
    """Move RELIANCE to a price a minute later, and settle what it causes."""

    def move(price: int | str) -> None:
        clock.advance(60)
        feed.tick("RELIANCE.NS", price)
        monitor.run_once()

    return move


def order(**fields: Any) -> dict[str, Any]:
    return {**RELIANCE, **fields}


def detail(trader: Trader, trade: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = trader.get(f"/trades/{trader.client_id}/{trade['trade_id']}").get_json()
    return found


def model_of(app: Flask, trader: Trader) -> FillModel:
    """Return the fill model of the trader's newest trade."""
    (document,) = documents("trades", user_id=trader.client_id)
    with app.app_context():
        trade = Trade.from_document(document)
    assert trade.model is not None
    return trade.model


# The profile of a portfolio.


def test_a_portfolio_is_plain_unless_it_or_the_server_says_otherwise(
    carol: Trader,
) -> None:
    plain = carol.open_portfolio()
    harsh = carol.post("/portfolio/create", {"name": "bots", "fill_profile": "HARSH"}).get_json()

    assert (plain["fill_profile"], harsh["fill_profile"]) == ("plain", "harsh")
    path = f"/portfolio/{carol.client_id}"
    changed = carol.patch(path, {"portfolio": "bots", "fill_profile": None})
    assert (changed.status_code, changed.get_json()["fill_profile"]) == (200, "plain")
    assert carol.portfolio()["fill_profile"] == "plain"


def test_a_profile_is_one_of_the_three_and_belongs_to_a_portfolio_of_the_user(
    alice: Trader, bob: Trader
) -> None:
    path = f"/portfolio/{alice.client_id}"

    refused = assert_error(alice.patch(path, {"fill_profile": "lucky"}), 400, "validation_error")
    assert set(refused) == {"fill_profile"}
    assert_error(alice.patch(path, {}), 400, "validation_error")
    unknown = {"portfolio": "none", "fill_profile": "harsh"}
    assert_error(alice.patch(path, unknown), 404, "portfolio_not_found")
    assert_error(bob.patch(path, {"fill_profile": "harsh"}), 403, "forbidden")


def test_a_plain_trade_stores_nothing_of_a_profile(alice: Trader, move: Move) -> None:
    trade = alice.create_trade(**order(stop_loss=1_390)).get_json()
    move(1_385)

    (stored,) = documents("trades")
    assert not {"fill_model", "entry_slippage", "exit_slippage"} & stored.keys()
    fills = detail(alice, trade)["fills"]
    assert [(each["profile"], each["slippage"], each["seed_index"]) for each in fills] == [
        ("plain", 0.0, None)
    ] * 2


# Slippage.


@pytest.mark.parametrize(
    ("side", "details", "entry"),
    [
        ("BUY", SPREAD, 1400.20),
        ("SELL", SPREAD, 1399.80),
        # 2 bps of 1400 are 0.28, and the tick is 0.10.
        ("BUY", NO_DETAILS, 1400.30),
        ("SELL", NO_DETAILS, 1399.70),
    ],
)
def test_a_market_order_pays_half_the_spread_and_blocks_the_margin_of_it(
    realistic: Trader, feed: ScriptedFeed, side: str, details: QuoteDetails, entry: float
) -> None:
    feed.set("RELIANCE.NS", 1_400, details)
    preview = realistic.post("/trades/preview", order(trade_type=side)).get_json()

    trade = realistic.create_trade(**order(trade_type=side)).get_json()

    assert_shape(trade, TRADE)
    assert (trade["entry_price"], trade["fill_profile"]) == (entry, "realistic")
    assert trade["margin_used"] == pytest.approx(2 * entry)
    assert trade["margin_used"] == realistic.portfolio()["utilized_margin"]
    assert (preview["entry_price"], preview["margin_required"]) == (entry, trade["margin_used"])
    (fill,) = detail(realistic, trade)["fills"]
    assert (fill["profile"], fill["seed_index"]) == ("realistic", 1)
    assert fill["slippage"] == pytest.approx(abs(entry - 1_400))
    assert fill["quote"]["price"] == 1_400.0
    assert_invariants(realistic.client_id)


def test_a_stop_and_an_exit_of_the_user_pay_slippage_and_the_books_balance(
    realistic: Trader, move: Move
) -> None:
    stopped = realistic.create_trade(**order(stop_loss=1_390)).get_json()
    kept = realistic.create_trade(**order()).get_json()
    move(1_385)
    exited = realistic.post(f"/trades/exit/{kept['trade_id']}", {"quantity": 4}).get_json()

    # 2 bps of 1385 are 0.277.
    fill = detail(realistic, stopped)["fills"][1]
    assert (fill["price"], fill["rule"], fill["slippage"]) == (1_384.7, "stop", 0.3)
    assert exited["exit_price"] == 1_384.7
    assert_invariants(realistic.client_id)


def test_a_marketable_limit_pays_slippage_up_to_its_limit(realistic: Trader) -> None:
    near = realistic.create_trade(**order(order_type="LIMIT", limit_price=1_400.1))
    far = realistic.create_trade(**order(order_type="LIMIT", limit_price=1_410))

    assert [each.get_json()["entry_price"] for each in (near, far)] == [1_400.1, 1_400.3]
    assert_invariants(realistic.client_id)


def test_an_order_whose_slippage_is_too_dear_is_refused_and_blocks_nothing(
    realistic: Trader, feed: ScriptedFeed
) -> None:
    # 2 bps of 1000 are 0.20, and 500 x 1000.20 x 0.2 is more than there is.
    feed.set("RELIANCE.NS", 1_000)
    answer = realistic.create_trade(**order(quantity=500))

    details = assert_error(answer, 400, "insufficient_margin")
    assert details["required_margin"] == 100_020.0
    assert details["available_margin"] == 100_000.0
    assert realistic.portfolio()["utilized_margin"] == 0.0
    preview = realistic.post("/trades/preview", order(trade_type="BUY", quantity=500)).get_json()
    assert [each["code"] for each in preview["problems"]] == ["insufficient_margin"]
    assert_invariants(realistic.client_id)


def test_a_trailing_stop_follows_from_the_quote_not_from_the_price_with_slippage(
    realistic: Trader, move: Move
) -> None:
    trade = realistic.create_trade(**order(trailing_offset=5)).get_json()
    move("1395.10")
    assert detail(realistic, trade)["trailing_stop"] == 1_395.0
    move("1395.00")

    assert detail(realistic, trade)["status"] == "TRAILING_STOP_HIT"


def test_a_trade_keeps_the_profile_that_it_was_placed_with(realistic: Trader, move: Move) -> None:
    trade = realistic.create_trade(**order(stop_loss=1_390)).get_json()
    realistic.patch(f"/portfolio/{realistic.client_id}", {"fill_profile": "plain"})
    move(1_385)

    assert detail(realistic, trade)["exit_price"] == 1_384.7
    assert realistic.create_trade(**order()).get_json()["fill_profile"] == "plain"


# Limits that the price only touches.


def minutes_until(model: FillModel, limit: str, now: datetime, *, fills: bool) -> int:
    """Return in how many minutes a touched limit is filled, or is not."""
    return next(
        number
        for number in range(1, 100)
        if model.fills_touched(limit, now + timedelta(minutes=number)) is fills
    )


@pytest.mark.parametrize("kind", ["entry", "target 0"])
def test_a_touched_limit_waits_until_a_minute_of_its_seed_or_a_price_beyond_it(
    realistic: Trader,
    app: Flask,
    feed: ScriptedFeed,
    clock: ManualClock,
    monitor: Monitor,
    kind: str,
) -> None:
    level = 1_390 if kind == "entry" else 1_410
    fields = {"order_type": "LIMIT", "limit_price": level} if kind == "entry" else {}
    waits, done = ("PENDING", "ACTIVE") if kind == "entry" else ("ACTIVE", "TARGET_HIT")
    trade = realistic.create_trade(**order(target_price=1_410, **fields)).get_json()
    model = model_of(app, realistic)

    def touch(minutes: int) -> str:
        clock.advance(60 * minutes)
        feed.tick("RELIANCE.NS", level)
        monitor.run_once()
        status: str = detail(realistic, trade)["status"]
        return status

    # Each minute that leaves it waiting, several times: it is found again at each tick.
    unfilled = minutes_until(model, kind, clock.now(), fills=False)
    assert touch(unfilled) == waits
    assert [touch(0) for _ in range(3)] == [waits] * 3
    assert_invariants(realistic.client_id)

    filled = minutes_until(model, kind, clock.now(), fills=True)
    assert touch(filled) == done
    fill = detail(realistic, trade)["fills"][-1]
    assert (fill["price"], fill["rule"], fill["slippage"]) == (float(level), "limit", 0.0)
    assert_invariants(realistic.client_id)


def test_a_touched_target_exits_one_part_a_minute_however_often_it_is_touched(
    client: FlaskClient, app: Flask, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    # The seed of an order follows from the name of its user: the same chance in each run.
    bot = sign_up(client, client_id="harsh1")
    bot.post("/portfolio/create", {"fill_profile": "harsh"})
    trade = bot.create_trade(**order(quantity=100, target_price=1_410)).get_json()
    model, held = model_of(app, bot), 100

    def touch(seconds: int) -> int:
        clock.advance(seconds)
        feed.tick("RELIANCE.NS", 1_410)
        monitor.run_once()
        left: int = detail(bot, trade)["open_quantity"]
        return left

    for _ in range(3):
        limit = f"target {100 - held}"
        minute = next(
            number
            for number in range(1, 100)
            if model.fills_touched(limit, time := clock.now() + timedelta(minutes=number))
            and model.part_touched(limit, time, held) < held
        )
        left = touch(60 * minute)
        assert left == held - model.part_touched(limit, clock.now(), held)
        assert [touch(1) for _ in range(5)] == [left] * 5
        held = left
        assert_invariants(bot.client_id)


def test_a_limit_that_the_price_passes_is_filled_at_its_price(
    realistic: Trader, move: Move
) -> None:
    trade = realistic.create_trade(**order(order_type="LIMIT", limit_price=1_390)).get_json()
    move("1389.90")

    assert detail(realistic, trade)["entry_price"] == 1_390.0


# Orders that the broker rejects.


EMAIL = "bot@example.com"


def seed_that_rejects() -> str:
    """Return a seed of the server by which the first trade of EMAIL is rejected."""
    for number in range(10_000):
        seed = trade_seed(str(number), EMAIL, "default", 1)
        harsh = FillModel(FillProfile.HARSH, seed, Decimal("0.10"), 1, Decimal(2))
        if harsh.rejection():
            return str(number)
    raise AssertionError("two of a hundred are rejected")


def test_an_order_that_the_broker_rejects_blocks_nothing_and_a_retry_returns_it(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(FILL_PROFILE="harsh", FILL_SEED=seed_that_rejects())
    bot = sign_up(app.test_client(), email=EMAIL)
    assert bot.open_portfolio()["fill_profile"] == "harsh"

    answer = bot.create_trade(**order(client_order_id="first"))

    rejected = answer.get_json()
    assert_shape(rejected, TRADE)
    assert (answer.status_code, rejected["status"]) == (201, "REJECTED")
    assert rejected["end_reason"] in ("broker_ab1004", "broker_ab1007", "broker_ab2001")
    assert rejected["margin_used"] == bot.portfolio()["utilized_margin"] == 0.0
    assert bot.create_trade(**order(client_order_id="first")).get_json() == rejected
    (event,) = [each for each in bot.notifications() if each["type"] == "trade_rejected"]
    assert rejected["end_reason"].removeprefix("broker_").upper() in event["message"]
    assert app.test_cli_runner().invoke(args=["verify", rejected["trade_id"]]).exit_code == 0
    assert_invariants(EMAIL)

    # The next order is another one: late by 1 to 3 ticks of 10 paise beyond 1400.30.
    second = bot.create_trade(**order()).get_json()
    assert second["entry_price"] in (1_400.4, 1_400.5, 1_400.6)
    assert_invariants(EMAIL)
