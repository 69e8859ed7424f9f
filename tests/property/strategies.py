"""Strategies for prices, sides and brackets, and a share."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from app.domain.bracket import Bracket
from app.domain.instrument import Instrument
from app.domain.money import PAISA
from app.domain.order import MAX_QUANTITY
from app.domain.side import TradeType
from app.web.schemas import MAX_PRICE
from tests.support.quotes import quote

prices = st.integers(1, MAX_PRICE * 100).map(lambda paise: paise * PAISA)
# Close together, so that levels are passed, met exactly, or missed by a paisa.
near_prices = st.integers(9_950, 10_050).map(lambda paise: paise * PAISA)
quantities = st.integers(1, MAX_QUANTITY)
sides = st.sampled_from(TradeType)


def instrument(base_paise: int, tick_size: Decimal) -> Instrument:
    """Return an NSE share that the simulated market starts at `base_price`."""
    return Instrument(
        symbol="X.NS",
        name="X",
        exchange="NSE",
        tick_size=tick_size,
        lot_size=1,
        angel_token="1",
        base_price=Decimal(base_paise) / 100,
    )


@st.composite
def brackets(draw: st.DrawFn, prices: st.SearchStrategy[Decimal] = near_prices) -> Bracket:
    """Draw a bracket whose levels, if any, are on the valid sides of the price."""
    side, entry = draw(sides), draw(prices)
    below = draw(st.none() | prices.filter(lambda price: price < entry))
    above = draw(st.none() | prices.filter(lambda price: price > entry))
    buying = side is TradeType.BUY
    return Bracket.open(
        side,
        draw(quantities),
        quote(entry),
        stop_loss=below if buying else above,
        target_price=above if buying else below,
    )
