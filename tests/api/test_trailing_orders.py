"""Orders with a trailing stop: what they may contain, and what is shown of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.users import Trader


def test_the_distance_and_the_step_are_shown(alice: Trader) -> None:
    created = alice.create_trade(symbol="RELIANCE.NS", trailing_offset=12.5).get_json()

    assert created["trailing_offset"] == 12.5
    assert created["trailing_pct"] is None
    # A tick, because none was given.
    assert created["trailing_step"] == 0.1
    by_percent = alice.create_trade(trailing_pct=1.5, trailing_step=5).get_json()
    assert (by_percent["trailing_offset"], by_percent["trailing_pct"]) == (None, 1.5)
    assert by_percent["trailing_step"] == 5.0
    event = alice.notifications()[0]
    assert event["data"]["trailing_pct"] == 1.5
    assert "a trailing stop 1.5 % away" in event["message"]


def test_a_trade_and_its_events_begin_with_its_id(alice: Trader) -> None:
    created = alice.create_trade(trailing_offset=12.5).get_json()
    path = f"/trades/{alice.client_id}/{created['trade_id']}"
    changed = alice.patch(path, {"trailing_pct": 1.5}).get_json()

    shown = [created, changed, *alice.trades(), alice.get(path).get_json()]
    for names in map(list, shown):
        assert names[:2] == ["trade_id", "user_id"]
        assert names.index("quantity") < names.index("status") < names.index("trailing_offset")
    for event in alice.notifications():
        assert list(event["data"])[:2] == ["trade_id", "portfolio"]


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"trailing_offset": 5, "trailing_pct": 1}, "not both"),
        ({"trailing_step": 5}, "trailing_step needs"),
        ({"trailing_pct": 100}, "less than 100"),
        ({"trailing_pct": 0}, "trailing_pct"),
        ({"trailing_offset": -5}, "trailing_offset"),
        ({"trailing_offset": "5"}, "trailing_offset"),
    ],
)
def test_an_order_has_one_distance_that_makes_sense(
    alice: Trader, fields: dict[str, Any], part: str
) -> None:
    response = alice.create_trade(**fields)

    assert response.status_code == 400
    assert part in response.text
    assert alice.trades() == []


@pytest.mark.parametrize("param", ["trailing_offset", "trailing_step"])
def test_a_distance_and_a_step_are_whole_ticks(alice: Trader, param: str) -> None:
    fields = {"trailing_offset": 5.0} | {param: 5.03}
    response = alice.create_trade(symbol="RELIANCE.NS", **fields)

    assert response.status_code == 400
    error = response.get_json()
    assert error["code"] == "price_off_tick"
    assert error["details"]["param"] == param


def test_an_offset_is_less_than_the_price(alice: Trader) -> None:
    error = alice.create_trade(symbol="RELIANCE.NS", trailing_offset=1_400).get_json()

    assert error["code"] == "wrong_side_of_price"
    assert error["details"]["param"] == "trailing_offset"
    assert error["details"]["below"] == 1_399.9


def test_a_retry_of_an_order_returns_its_trade(alice: Trader) -> None:
    first, second = (
        alice.create_trade(trailing_offset=50, client_order_id="one").get_json() for _ in range(2)
    )

    assert first["trade_id"] == second["trade_id"]
    other = alice.create_trade(trailing_offset=60, client_order_id="one")
    assert other.get_json()["code"] == "client_order_id_reused"
