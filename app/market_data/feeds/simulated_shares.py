"""The shares and indices of the simulated market: sectors, betas, volatilities, index weights.

`data/simulated_shares.csv` has the shares of the NIFTY 50. `sector` is the factor that a share has
in common with others, coarser than that of its company. `volatility` is the standard deviation of
a year's log returns, and `volume` the average daily volume on NSE in shares. They are rounded from
a year of daily prices: plausible, not exact. Any other share gets values that its ticker seeds.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from app.domain.instrument import BSE, Instrument
from app.market_data.instruments.companies import companies

# BSE's share of the volume in a stock that trades on both exchanges.
_BSE_VOLUME = 0.06
# What a share outside the file trades on an average day, in rupees.
_LEAST_TURNOVER, _MOST_TURNOVER = 2e6, 5e8


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the simulated market. `volume` is shares a day on NSE.

    `volatility` is the standard deviation of a year's log returns.
    """

    ticker: str
    sector: str
    beta: float
    volatility: float
    volume: float


@cache
def listed_shares() -> Mapping[str, Share]:
    """Return the shares of the data file by ticker."""
    text = files("app.market_data").joinpath("data/simulated_shares.csv").read_text("utf-8")
    return {
        row["ticker"]: Share(
            row["ticker"],
            row["sector"],
            float(row["beta"]),
            float(row["volatility"]),
            float(row["volume"]),
        )
        for row in csv.DictReader(text.splitlines())
    }


@cache
def sectors() -> tuple[str, ...]:
    """Return the sectors of the data file, in alphabetical order."""
    return tuple(sorted({share.sector for share in listed_shares().values()}))


@cache
def weights_of(symbol: str) -> Mapping[str, float]:
    """Return the weights of an index by ticker, which add up to 1; empty for other symbols."""
    weights = {
        ticker: float(company.weights[symbol])
        for ticker, company in companies().items()
        if symbol in company.weights
    }
    total = sum(weights.values())
    return {ticker: weight / total for ticker, weight in weights.items()}


def share_of(instrument: Instrument) -> Share:
    """Return the share behind a listing, made up by its ticker if the file has none."""
    return listed_shares().get(instrument.ticker) or _made_up(instrument)


def daily_volume(instrument: Instrument) -> float:
    """Return the average daily volume of a listing, in shares."""
    volume = share_of(instrument).volume
    return volume * _BSE_VOLUME if instrument.exchange == BSE else volume


def _made_up(instrument: Instrument) -> Share:
    draw = random.Random(f"share/{instrument.ticker}")
    turnover = _LEAST_TURNOVER * (_MOST_TURNOVER / _LEAST_TURNOVER) ** draw.random()
    return Share(
        instrument.ticker,
        draw.choice(sectors()),
        draw.uniform(0.7, 1.2),
        draw.uniform(0.28, 0.35),
        turnover / float(instrument.start_price),
    )
