"""A preview knows whether an order would be accepted, and otherwise why not."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.market import ScriptedFeed
from tests.support.users import Trader

SYMBOLS = ("NIFTY", "RELIANCE", "RELIANCE", "RELIANCE", "NIFTY", "TCS", "NOSUCH")

TRAILING: tuple[dict[str, float], ...] = (
    {},
    {},
    {"trailing_offset": 12.3},
    {"trailing_offset": 12.35},
    {"trailing_pct": 2.5},
)

# Cancelled on arrival, so that it needs no margin.
IOC_BEYOND_MARGIN = {
    "symbol": "RELIANCE",
    "trade_type": "BUY",
    "quantity": 2_000,
    "order_type": "LIMIT",
    "limit_price": 1_390,
    "time_in_force": "IOC",
}


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    """Return orders of which most are right, and the others wrong in any way."""
    symbol = draw(st.sampled_from(SYMBOLS))
    price = 25_000 if symbol == "NIFTY" else 1_400
    kind = draw(st.sampled_from(["MARKET", "LIMIT", "LIMIT", "STOP", "STOP_LIMIT"]))
    side = draw(st.sampled_from([1, -1]))
    in_force = ["GTC", "DAY"] if "STOP" in kind else ["GTC", "DAY", "IOC", "IOC"]

    def at(lowest: int, highest: int) -> float:
        """Return a price so many tens of paise beyond the last one, rarely between two of them."""
        paise = draw(st.sampled_from([0] * 9 + [1]))
        return price + side * draw(st.integers(lowest, highest)) / 10 + paise / 100

    order: dict[str, Any] = {
        "symbol": symbol,
        "order_type": kind,
        "time_in_force": draw(st.sampled_from(in_force)),
        "trade_type": "BUY" if side == 1 else "SELL",
        "quantity": draw(st.sampled_from([1, 2, 5, 19, 400, 2_000])),
        "stop_loss": round(at(-400, -150), 2),
        "target_price": round(at(150, 400), 2),
        "limit_price": round(at(-200, 200), 2),
        "stop_price": round(at(-40, 200), 2),
    }
    order |= draw(st.sampled_from(TRAILING))
    unused = {"limit_price": "LIMIT", "stop_price": "STOP"}
    left_out = {name for name, word in unused.items() if word not in kind}
    left_out |= draw(st.sets(st.sampled_from(["stop_loss", "target_price"])))
    return {name: value for name, value in order.items() if name not in left_out}


@example(order=IOC_BEYOND_MARGIN, price=1_400)
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
        assert body["entry_price"] in (preview["entry_price"], None)
        assert body["margin_used"] == preview["margin_required"]
        assert alice.portfolio()["available_margin"] == preview["available_margin_after"]
        # The next order meets a portfolio in which entries wait, and nothing else.
        alice.post(f"/trades/exit/{body['trade_id']}")
    else:
        first = preview["problems"][0]
        assert (first["code"], first["error"]) == (body["code"], body["error"])
        assert first["details"] == body["details"]
