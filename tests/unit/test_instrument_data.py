"""The data files of shares: their rows agree with each other and with the exchanges' rules."""

from __future__ import annotations

import re
from collections import defaultdict
from decimal import Decimal

import pytest

from app.domain.instrument import Instrument
from app.market_data.feeds.simulated_shares import listed_shares
from app.market_data.instruments.companies import companies
from app.market_data.instruments.registry import load_instruments

SHARES = [instrument for instrument in load_instruments() if not instrument.is_index]
# Above each price in rupees, the tick of a share: NSE's circular of April 2025, which BSE follows.
TICKS = ((20_000, "5"), (10_000, "1"), (5_000, "0.5"), (1_000, "0.1"), (250, "0.05"), (0, "0.01"))
# A split has a new ISIN. The ISIN since the last split, and about the price after it and later
# bonuses, in rupees.
SPLITS = {
    "BAJAJFINSV": ("INE918I01026", 1_800),
    "BAJFINANCE": ("INE296A01032", 930),
    "DRREDDY": ("INE089A01031", 1_320),
    "KOTAKBANK": ("INE237A01036", 430),
    "NESTLEIND": ("INE239A01024", 1_350),
    "SHRIRAMFIN": ("INE721A01047", 580),
    "TATASTEEL": ("INE081A01020", 100),
}
# Rupees that a share trades on NSE on an average day, for each per cent of its weight in the
# NIFTY 50: a price or a volume of before a split is far outside.
LEAST_TURNOVER, MOST_TURNOVER = 1.2e9, 8e9


def base_price(instrument: Instrument) -> Decimal:
    assert instrument.base_price is not None
    return instrument.base_price


def is_isin(text: str) -> bool:
    """Return whether a text has the form of an Indian share's ISIN, and its check digit."""
    if not re.fullmatch(r"INE[0-9A-Z]{4}01\d{3}", text):
        return False
    digits = "".join(str(int(letter, 36)) for letter in text)
    doubled = [int(each) * (1 + place % 2) for place, each in enumerate(reversed(digits))]
    return sum(sum(divmod(each, 10)) for each in doubled) % 10 == 0


@pytest.mark.parametrize("share", SHARES, ids=lambda share: share.symbol)
def test_the_price_of_a_share_has_the_tick_of_its_size(share: Instrument) -> None:
    price = base_price(share)
    tick = next(Decimal(tick) for above, tick in TICKS if price > above)

    assert share.tick_size == tick
    assert price % tick == 0
    assert share.lot_size == 1


def test_two_listings_of_a_share_have_the_same_name_price_and_tick() -> None:
    listings = defaultdict(list)
    for share in SHARES:
        listings[share.ticker].append((share.name, share.base_price, share.tick_size))

    assert {ticker: len(set(each)) for ticker, each in listings.items()} == dict.fromkeys(
        companies(), 1
    )


def test_each_company_has_an_isin_of_its_own() -> None:
    isins = [company.isin for company in companies().values()]

    assert [isin for isin in isins if not is_isin(isin)] == []
    assert len(set(isins)) == len(isins)


def test_prices_are_those_after_the_split_that_the_isin_came_with() -> None:
    prices = {share.ticker: base_price(share) for share in SHARES}

    for ticker, (isin, price) in SPLITS.items():
        assert companies()[ticker].isin == isin, ticker
        assert price / 2 < prices[ticker] < price * 2, ticker


def test_price_and_volume_of_a_share_are_those_of_its_weight() -> None:
    shares = listed_shares()
    turnovers = {
        share.ticker: float(base_price(share))
        * shares[share.ticker].volume
        / float(companies()[share.ticker].weights["^NSEI"])
        for share in SHARES
    }

    assert turnovers.keys() == companies().keys() == shares.keys()
    assert {
        ticker: turnover
        for ticker, turnover in turnovers.items()
        if not LEAST_TURNOVER < turnover < MOST_TURNOVER
    } == {}


def test_each_token_of_angel_one_is_of_one_listing() -> None:
    tokens = [(share.exchange, share.angel_token) for share in SHARES]

    assert len(set(tokens)) == len(tokens)
