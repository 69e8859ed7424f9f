"""The loadings of a listing on the factors of the simulated market; see market_model.py."""

from __future__ import annotations

import math
import random
from functools import cache, lru_cache

import numpy as np

from app.domain.instrument import BSE, NSE
from app.market_data.feeds.random_numbers import Numbers
from app.market_data.feeds.simulated_shares import Share, listed_shares, sectors, weights_of

# The standard deviation of a year's return of the market factor.
MARKET_VOLATILITY = 0.122
# The part of a share's other variance that its sector explains. Banks are a third of the index, so
# the market itself is most of what they have in common.
SECTOR_PART, BANK_PART = 0.35, 0.05
# How far two listings of a share may differ, as a fraction of the price.
LISTING_GAP = 0.0003
HIDDEN = 15
# The places of the factors: the market, then the sectors, then the hidden ones. Two of the
# listings follow, and the one that holds an index to its basket.
MARKET, SECTORS = 0, 1
FACTORS = SECTORS + len(sectors()) + HIDDEN
LISTING, BASKET = FACTORS, FACTORS + 2
WIDTH = FACTORS + 3


@lru_cache(maxsize=4_096)
def loadings(share: Share, exchange: str = NSE) -> Numbers:
    """Return the loadings of a listing: standard deviations of a year, by factor."""
    market = share.beta * MARKET_VOLATILITY
    rest = max(share.volatility**2 - market**2, 0.0)
    part = BANK_PART if share.sector == "banks" else SECTOR_PART
    result = np.zeros(WIDTH)
    result[MARKET] = market
    result[SECTORS + sectors().index(share.sector)] = math.sqrt(part * rest)
    hidden = _direction(share) - _common_direction(share.sector)
    size = math.sqrt((1 - part) * rest)
    result[SECTORS + len(sectors()) : FACTORS] = hidden * (size / float(np.linalg.norm(hidden)))
    if exchange == BSE:
        one = LISTING_GAP * random.Random(f"listing/{share.ticker}").random()
        result[LISTING : LISTING + 2] = one, LISTING_GAP - one
    return result


def _direction(share: Share) -> Numbers:
    """Return the vector of the hidden factors that the ticker seeds."""
    draw = random.Random(f"loadings/{share.ticker}")
    return np.array([draw.gauss(0, 1) for _ in range(HIDDEN)])


@cache
def _common_direction(sector: str) -> Numbers:
    """Return what a sector's shares have in common by chance; its own factor replaces it."""
    every = [_direction(each) for each in listed_shares().values() if each.sector == sector]
    part = max(1 - 2 / len(every), 0)
    common: Numbers = part * np.mean(every, axis=0)
    return common


@cache
def basket(symbol: str) -> tuple[Numbers, Numbers] | None:
    """Return the weights of an index and the loadings of its shares on the factors, or None."""
    weights = weights_of(symbol)
    if not weights:
        return None
    every = [loadings(listed_shares()[ticker])[:FACTORS] for ticker in weights]
    return np.array(list(weights.values())), np.array(every)
