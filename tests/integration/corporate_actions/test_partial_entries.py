"""A bonus of a share whose order was filled in part."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from flask.testing import FlaskClient

from app.cli import verify
from app.models import Trade
from app.portfolio.reconciliation import find_differences
from tests.support.corporate_actions import OPEN, SHARE, At, announce, show
from tests.support.database_state import assert_invariants, documents
from tests.support.market import ManualClock
from tests.support.users import sign_up


def test_a_bonus_adjusts_the_part_and_the_rest_of_an_order(
    client: FlaskClient, app: Flask, at: At, clock: ManualClock
) -> None:
    # The seed of an order follows from the name of its user: the same chance in each run.
    trader = sign_up(client, client_id="harsh1")
    trader.post("/portfolio/create", {"fill_profile": "harsh"})
    order = {"symbol": SHARE, "quantity": 100, "order_type": "LIMIT", "limit_price": 1_390}
    placed = trader.create_trade(**order, client_order_id="own").get_json()
    (document,) = documents("trades")
    with app.app_context():
        model = Trade.from_document(document).model
    assert model is not None
    time = clock.now()
    minute = next(
        number
        for number in range(5, 300)
        if model.fills_touched("entry", time + timedelta(minutes=number))
        and model.part_touched("entry", time + timedelta(minutes=number), 100) < 100
    )
    india = time + timedelta(hours=5, minutes=30 + minute)
    at(f"{india:%Y-%m-%d %H:%M}", 1_390)
    part = show(trader, placed)
    filled, rest = part["quantity"], show(trader, {"trade_id": part["rest_trade_id"]})
    at("2026-11-24 15:29", 1_400)
    announce()

    at(OPEN, 700)

    part, rest = show(trader, part), show(trader, rest)
    assert (part["status"], part["quantity"]) == ("ACTIVE", 2 * filled)
    assert (rest["status"], rest["quantity"]) == ("PENDING", 2 * (100 - filled))
    assert (rest["limit_price"], part["fills"][0]["quantity"]) == (695.0, filled)
    assert find_differences(trader.client_id) == []

    at("2026-11-25 09:20", 694)

    rest = show(trader, rest)
    assert (rest["status"], rest["entry_price"]) == ("ACTIVE", 695.0)
    assert_invariants(trader.client_id)
    assert find_differences(trader.client_id) == []
    assert trader.create_trade(**order, client_order_id="own").get_json() == placed
    with app.app_context():
        for document in documents("trades"):
            steps = verify._derive(Trade.from_document(document))
            assert [step for step in steps if not step.agrees] == []
