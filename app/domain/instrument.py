"""Instruments: what can be traded."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from statistics import NormalDist

from app.domain.company import Company
from app.domain.money import to_paisa

NSE = "NSE"
BSE = "BSE"
SUFFIXES = {NSE: ".NS", BSE: ".BO"}

# Shares without a known price start between these, in rupees: log-normal, as real prices are, and
# cut off at two standard deviations.
_LOWEST_PRICE = 20
_HIGHEST_PRICE = 5_000
_CUT_OFF = 2


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable symbol. `tick_size` and `base_price` are rupees.

    `freeze_quantity` is the most that one order may have, if known, and `base_price` the start of
    the simulated market. `angel_token` is the instrument's id in Angel One's API, on its exchange.
    `unlisted_at` is when the list of instruments dropped it: its open trades continue, new trades
    and alerts are refused.
    """

    symbol: str
    name: str
    exchange: str
    tick_size: Decimal
    lot_size: int
    angel_token: str
    base_price: Decimal | None = None
    unlisted_at: datetime | None = None
    freeze_quantity: int | None = None
    # None if the list of instruments does not say.
    has_derivatives: bool | None = None
    # None for an index, and if the issuer is unknown.
    company: Company | None = field(default=None, compare=False)

    @property
    def is_listed(self) -> bool:
        return self.unlisted_at is None

    @property
    def is_index(self) -> bool:
        return self.symbol.startswith("^")

    @property
    def has_closing_auction(self) -> bool:
        """Whether its price of the close is made by an auction, on days that have one.

        That of an index is made of the prices of its shares, which have derivatives.
        """
        return self.is_index or bool(self.has_derivatives)

    @property
    def ticker(self) -> str:
        """The symbol without its exchange: RELIANCE of RELIANCE.NS."""
        return self.symbol.removesuffix(SUFFIXES.get(self.exchange, ""))

    @property
    def start_price(self) -> Decimal:
        """The start of the simulated market, in rupees: a made-up price if none is known."""
        return self.base_price if self.base_price is not None else _made_up_price(self.ticker)


@cache
def _made_up_price(ticker: str) -> Decimal:
    # Seeded by the ticker: a share starts at the same price on both exchanges.
    middle = math.log(_LOWEST_PRICE * _HIGHEST_PRICE) / 2
    deviation = math.log(_HIGHEST_PRICE / _LOWEST_PRICE) / (2 * _CUT_OFF)
    lowest = NormalDist().cdf(-_CUT_OFF)
    share = random.Random(f"base/{ticker}").uniform(lowest, 1 - lowest)
    return to_paisa(Decimal(str(math.exp(NormalDist(middle, deviation).inv_cdf(share)))))
