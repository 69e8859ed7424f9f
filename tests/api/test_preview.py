"""Previews: what an order would cost and earn, and everything that is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.domain.quote import Source
from tests.support.database_state import all_documents
from tests.support.market import ScriptedFeed
from tests.support.responses import assert_error
from tests.support.users import Trader


def preview(trader: Trader, **order: Any) -> dict[str, Any]:
    body = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1, **order}
    response = trader.post("/trades/preview", body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.get_json()
    return answer


def codes(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["code"] for entry in entries]


def test_a_preview_tells_everything_about_an_order_and_writes_nothing(alice: Trader) -> None:
    before = all_documents()
    answer = preview(alice, symbol="nifty", quantity=2, stop_loss=24_750, target_price=25_500)

    assert all_documents() == before
    assert answer == {
        "portfolio": "default",
        "symbol": "^NSEI",
        "trade_type": "BUY",
        "quantity": 2,
        "order_type": "MARKET",
        "queued_for": None,
        "fill_profile": "plain",
        "touch_fill_pct": None,
        "quote": {"price": 25_000.0, "source": "mock", "timestamp": "2026-11-23T04:00:00.000Z"},
        "entry_price": 25_000.0,
        "margin_required": 10_000.0,
        "charges": [],
        "total_charges": 0.0,
        "available_margin": 100_000.0,
        "available_margin_after": 90_000.0,
        "loss_at_stop": 500.0,
        "reward_at_target": 1_000.0,
        "reward_risk_ratio": 2.0,
        "break_even_price": 25_000.0,
        "liquidation_price": None,
        "problems": [],
        "warnings": [],
    }
    trade = alice.create_trade(quantity=2, stop_loss=24_750, target_price=25_500).get_json()
    assert (trade["entry_price"], trade["margin_used"]) == (25_000.0, 10_000.0)
    assert alice.portfolio()["available_margin"] == answer["available_margin_after"]


def test_a_sell_loses_above_its_price(alice: Trader) -> None:
    answer = preview(alice, trade_type="SELL", quantity=3, stop_loss=25_100, target_price=24_900)
    assert (answer["loss_at_stop"], answer["reward_at_target"]) == (300.0, 300.0)
    assert (answer["reward_risk_ratio"], answer["problems"]) == (1.0, [])


@pytest.mark.parametrize(
    ("entry", "entry_price"),
    [
        ({"order_type": "limit", "limit_price": 24_000}, 24_000.0),
        ({"order_type": "LIMIT", "limit_price": 26_000}, 25_000.0),
        ({"order_type": "STOP", "stop_price": 26_000}, 26_000.0),
        ({"order_type": "STOP_LIMIT", "stop_price": 26_000, "limit_price": 26_100}, 26_100.0),
    ],
)
def test_each_type_of_order_is_valued_at_its_entry_price(
    alice: Trader, entry: dict[str, Any], entry_price: float
) -> None:
    answer = preview(alice, stop_loss=23_000, **entry)

    assert answer["problems"] == []
    assert answer["entry_price"] == answer["break_even_price"] == entry_price
    assert answer["margin_required"] == entry_price / 5
    assert answer["loss_at_stop"] == entry_price - 23_000
    expected = ["fills_at_once"] if entry.get("limit_price") == 26_000 else []
    assert [code for code in codes(answer["warnings"]) if code == "fills_at_once"] == expected


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"order_type": "LIMIT"}, {"limit_price": "is required for LIMIT"}),
        ({"order_type": "STOP"}, {"stop_price": "is required for STOP"}),
        (
            {"order_type": "STOP_LIMIT"},
            {
                "limit_price": "is required for STOP_LIMIT",
                "stop_price": "is required for STOP_LIMIT",
            },
        ),
        ({"limit_price": 24_000}, {"limit_price": "does not belong to MARKET"}),
        (
            {"order_type": "LIMIT", "limit_price": 1, "stop_price": 2},
            {"stop_price": "does not belong to LIMIT"},
        ),
    ],
)
def test_the_prices_of_an_order_must_fit_its_type(
    alice: Trader, entry: dict[str, Any], fault: dict[str, str]
) -> None:
    body = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1, **entry}
    assert assert_error(alice.post("/trades/preview", body), 400, "validation_error") == fault


def test_all_problems_are_listed_in_the_order_of_the_checks(alice: Trader) -> None:
    answer = preview(
        alice,
        symbol="RELIANCE",
        quantity=1_000,
        order_type="STOP",
        stop_price=1_390.05,
        stop_loss=1_400.05,
        target_price=1_500,
    )

    assert codes(answer["problems"]) == [
        "price_off_tick",
        "price_off_tick",
        "would_trigger_immediately",
        "wrong_side_of_price",
        "insufficient_margin",
    ]
    assert [each["details"]["param"] for each in answer["problems"]] == [
        "stop_price",
        "stop_loss",
        "stop_price",
        "stop_loss",
        "quantity",
    ]
    assert answer["problems"][2] == {
        "error": "Stop price 1390.05 must be above the price, which is 1400.00: "
        "the order would be triggered at once.",
        "code": "would_trigger_immediately",
        "details": {"param": "stop_price", "given": 1_390.05, "price": 1_400.0, "above": 1_400.1},
    }
    assert answer["problems"][4]["details"]["below"] == 359
    assert answer["available_margin_after"] == 100_000 - 278_010


def test_an_unknown_symbol_leaves_only_its_own_problem(alice: Trader) -> None:
    answer = preview(alice, symbol="NOSUCH", stop_loss=1)

    (problem,) = answer["problems"]
    assert problem["code"] == "unknown_symbol"
    assert problem["details"]["param"] == "symbol"
    assert (answer["symbol"], answer["quote"], answer["margin_required"]) == (None, None, None)
    assert answer["available_margin"] == 100_000.0


def test_a_symbol_without_a_price_is_a_problem_not_a_failure(alice: Trader) -> None:
    answer = preview(alice, symbol="TCS")
    assert codes(answer["problems"]) == ["market_data_unavailable"]
    assert (answer["symbol"], answer["entry_price"]) == ("TCS.NS", None)


def test_a_loss_beyond_the_margin_and_a_missing_stop_loss_are_warnings(alice: Trader) -> None:
    (missing,) = preview(alice)["warnings"]
    assert missing == {
        "code": "no_stop_loss",
        "message": "Without a stop-loss nothing limits the loss.",
    }
    assert preview(alice, stop_loss=20_000)["warnings"] == []
    (beyond,) = preview(alice, stop_loss=19_999.95)["warnings"]
    assert beyond == {
        "code": "loss_exceeds_margin",
        "message": "At its stop the trade loses 5000.05, more than the margin that it "
        "blocks, which is 5000.00.",
    }


def test_a_trailing_stop_is_a_stop(alice: Trader) -> None:
    answer = preview(alice, symbol="RELIANCE", quantity=2, trailing_pct=1.03)
    # 14.42 below 1,400, rounded to the tick away from the market.
    assert (answer["loss_at_stop"], answer["warnings"]) == (29.0, [])
    off_tick = preview(alice, symbol="RELIANCE", trailing_offset=10.05)
    assert codes(off_tick["problems"]) == ["price_off_tick"]


def test_a_delayed_price_is_a_warning(alice: Trader, feed: ScriptedFeed) -> None:
    feed.source = Source.YAHOO
    feed.set("TCS.NS", 3_000)
    assert "price_delayed" in codes(preview(alice, symbol="TCS", stop_loss=2_900)["warnings"])


LIMIT = {"order_type": "LIMIT", "limit_price": 24_900}


@pytest.mark.parametrize(
    ("profile", "order", "chance"),
    [
        ("realistic", LIMIT, 50),
        ("harsh", LIMIT, 50),
        ("harsh", {"order_type": "STOP_LIMIT", "stop_price": 25_100, "limit_price": 25_150}, 50),
        ("realistic", {"target_price": 25_500}, 50),
        ("realistic", {}, None),
        ("realistic", LIMIT | {"limit_price": 25_000}, None),
        ("realistic", LIMIT | {"time_in_force": "IOC"}, None),
        ("plain", LIMIT, None),
    ],
)
def test_a_limit_that_a_touch_may_not_fill_is_a_warning_with_its_chance(
    alice: Trader, profile: str, order: dict[str, Any], chance: int | None
) -> None:
    alice.patch(f"/portfolio/{alice.client_id}", {"fill_profile": profile})

    shown = preview(alice, stop_loss=24_000, **order)

    assert shown["touch_fill_pct"] == chance
    messages = [w["message"] for w in shown["warnings"] if w["code"] == "touch_may_not_fill"]
    assert messages == [
        f"With the fill profile {profile}, a limit or target that the price only touches is filled "
        f"with a chance of {chance} % in each minute of it."
    ] * (chance is not None)


def test_a_preview_is_of_the_named_portfolio(alice: Trader) -> None:
    body = {"name": "options", "initial_margin": 5_000}
    assert alice.post("/portfolio/create", body).status_code == 201

    answer = preview(alice, portfolio="options", quantity=2)
    assert (answer["portfolio"], answer["available_margin"]) == ("options", 5_000.0)
    assert answer["available_margin_after"] == -5_000.0
    assert codes(answer["problems"]) == ["insufficient_margin"]
    body = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1, "portfolio": "futures"}
    assert_error(alice.post("/trades/preview", body), 404, "portfolio_not_found")


def test_a_preview_needs_a_portfolio_and_a_token(carol: Trader, client: FlaskClient) -> None:
    body = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}
    assert_error(carol.post("/trades/preview", body), 404, "portfolio_not_found")
    assert_error(client.post("/trades/preview", json=body), 401, "token_missing")


def test_a_key_that_may_only_read_previews_orders(alice: Trader, client: FlaskClient) -> None:
    created = alice.post("/auth/api-keys", {"name": "Watcher", "scopes": ["read"]}).get_json()
    body = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}
    headers = {"X-API-Key": created["api_key"]}
    assert client.post("/trades/preview", json=body, headers=headers).status_code == 200
    refused = client.post("/trades/create", json=body, headers=headers)
    assert_error(refused, 403, "insufficient_scope")
