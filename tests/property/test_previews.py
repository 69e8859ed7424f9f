"""A preview knows whether an order would be accepted, and otherwise why not."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.market import ScriptedFeed
from tests.support.users import Trader

SYMBOLS = ("NIFTY", "RELIANCE", "TCS", "NOSUCH")


def near(price: int) -> st.SearchStrategy[float | None]:
    """Return prices around `price`, on the tick and off it, and none."""
    return st.none() | st.integers(price * 100 - 2_000, price * 100 + 2_000).map(
        lambda paise: paise / 100
    )


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    symbol = draw(st.sampled_from(SYMBOLS))
    price = 25_000 if symbol == "NIFTY" else 1_400
    return {
        "symbol": symbol,
        "trade_type": draw(st.sampled_from(["BUY", "SELL"])),
        "quantity": draw(st.integers(1, 5) | st.integers(1, 2_000)),
        "stop_loss": draw(near(price)),
        "target_price": draw(near(price)),
    }


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=orders(), price=st.sampled_from([1_395, 1_400, 1_405]))
def test_creating_a_trade_fails_exactly_if_its_preview_has_problems(
    alice: Trader, feed: ScriptedFeed, order: dict[str, Any], price: int
) -> None:
    feed.set("RELIANCE.NS", price)
    preview = alice.post("/trades/preview", order).get_json()
    created = alice.post("/trades/create", order)

    body = created.get_json()
    if created.status_code == 201:
        assert preview["problems"] == []
        assert body["entry_price"] == preview["entry_price"]
        assert body["margin_used"] == preview["margin_required"]
        assert alice.portfolio()["available_margin"] == preview["available_margin_after"]
        # The next order meets the same portfolio.
        alice.post(f"/trades/exit/{body['trade_id']}")
    else:
        first = preview["problems"][0]
        assert (first["code"], first["error"]) == (body["code"], body["error"])
        assert first["details"] == body["details"]
