"""Yahoo's quotes: real yfinance and curl, over HTTP to a fake of Yahoo."""

from __future__ import annotations

from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.domain.quote import NO_DETAILS, Quote, QuoteDetails, Source
from app.market_data.instruments.registry import load_instruments
from app.market_data.providers.yahoo import YahooSource
from tests.fakes.yahoo import FakeYahoo
from tests.support.market import ManualClock
from tests.support.yahoo import MAHINDRA, NIFTY, TCS, THREE, prices


def test_a_quote_has_the_price_in_paise_and_the_time_that_yahoo_gives(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    made_at = clock.now() - timedelta(minutes=15)
    yahoo.set_price("TCS.NS", 3000.0999755859375, made_at)

    (quote,) = source.fetch([TCS])
    assert quote == Quote("TCS.NS", Decimal("3000.10"), Source.YAHOO, made_at)
    assert quote.timestamp.tzinfo is UTC
    assert quote.source.is_real
    assert quote.source.is_delayed


def test_a_quote_has_the_figures_of_the_day(yahoo: FakeYahoo, source: YahooSource) -> None:
    figures: dict[str, Any] = {
        "regularMarketDayHigh": 3_010.5,
        "regularMarketDayLow": 2_995.0999755859375,
        "regularMarketVolume": 1_204_350,
        "chartPreviousClose": 2_990.0,
    }
    yahoo.set_price("TCS.NS", 3_000.1, **figures)
    yahoo.rows["TCS.NS", "1d"] = [(yahoo.now, 2_998.25, 3_010.5, 2_995.1, 3_000.1)]
    yahoo.set_price("^NSEI", 25_000.5, **figures | {"regularMarketVolume": 0})

    share, index = sorted(source.fetch([TCS, NIFTY]), key=lambda quote: quote.symbol)

    assert share.details == QuoteDetails(
        previous_close=Decimal("2990.00"),
        open=Decimal("2998.25"),
        high=Decimal("3010.50"),
        low=Decimal("2995.10"),
        volume=1_204_350,
    )
    assert (share.change, share.change_pct) == (Decimal("10.10"), Decimal("0.34"))
    assert (index.details.open, index.details.volume) == (Decimal("25000.50"), None)


def test_the_open_of_another_day_is_not_that_of_the_quote(
    yahoo: FakeYahoo, source: YahooSource
) -> None:
    yahoo.set_price("TCS.NS", 3_000.1, chartPreviousClose=2_990.0)
    yesterday = yahoo.now - timedelta(hours=23)
    yahoo.rows["TCS.NS", "1d"] = [(yesterday, 2_998.25, 3_010.5, 2_995.1, 3_000.1)]

    (quote,) = source.fetch([TCS])

    assert quote.details == QuoteDetails(previous_close=Decimal("2990.00"))


@pytest.mark.parametrize("broken", [None, "dear", -1, 0, [1], {}])
def test_figures_that_are_no_numbers_are_unknown(
    yahoo: FakeYahoo, source: YahooSource, broken: object
) -> None:
    names = ("regularMarketDayHigh", "regularMarketDayLow", "chartPreviousClose")
    figures: dict[str, Any] = dict.fromkeys(names, broken)
    yahoo.set_price("TCS.NS", 3_000.1, **figures)
    yahoo.rows["TCS.NS", "1d"] = []

    (quote,) = source.fetch([TCS])

    assert quote.details == NO_DETAILS


def test_a_batch_has_one_request_per_symbol_and_one_cookie_and_crumb(
    yahoo: FakeYahoo, source: YahooSource
) -> None:
    for _ in range(3):
        assert prices(source.fetch(THREE)) == {
            "^NSEI": Decimal("25000.50"),
            "TCS.NS": Decimal("3000.10"),
            "M&M.NS": Decimal("3500.00"),
        }

    charts = yahoo.charts()
    assert len(charts) == 9
    assert all(request.has_cookie and request.query["crumb"] == yahoo.crumb for request in charts)
    assert [request.path for request in yahoo.requests if request not in charts] == [
        "/",
        "/v1/test/getcrumb",
    ]


def test_symbols_are_quoted_in_the_url(yahoo: FakeYahoo, source: YahooSource) -> None:
    source.fetch([NIFTY])
    source.fetch([MAHINDRA])

    assert [request.path.rpartition("/")[2] for request in yahoo.charts()] == [
        "%5ENSEI",
        "M%26M.NS",
    ]


def test_every_shipped_symbol_has_a_price(yahoo: FakeYahoo, source: YahooSource) -> None:
    every = list(load_instruments())
    for instrument in every:
        assert source.knows(instrument)
        yahoo.set_price(instrument.symbol, float(instrument.start_price))

    quotes = [
        quote
        for first in range(0, len(every), source.batch_size)
        for quote in source.fetch(every[first : first + source.batch_size])
    ]
    assert prices(quotes) == {instrument.symbol: instrument.start_price for instrument in every}


def test_connections_are_reused(yahoo: FakeYahoo, source: YahooSource) -> None:
    for _ in range(5):
        source.fetch(THREE)

    assert len({request.port for request in yahoo.requests}) <= 3


@pytest.mark.parametrize("price", [None, float("nan"), float("inf"), 0, -5.5, 0.001, "12", 1e300])
def test_an_invalid_price_affects_its_symbol_only(
    yahoo: FakeYahoo, source: YahooSource, price: object
) -> None:
    yahoo.set_price("TCS.NS", price)
    yahoo.rows["TCS.NS", "1d"] = []

    assert set(prices(source.fetch(THREE))) == {"^NSEI", "M&M.NS"}
    assert source.fetch([TCS]) == []


def test_a_price_in_another_currency_is_skipped(yahoo: FakeYahoo, source: YahooSource) -> None:
    yahoo.set_price("TCS.NS", 35.5, currency="USD")

    assert source.fetch([TCS]) == []


def test_before_the_first_trade_of_a_day_the_last_close_is_the_price(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    closed_at = clock.now() - timedelta(days=3)
    yahoo.set_price("TCS.NS", 2_990.0, closed_at)
    yahoo.rows["TCS.NS", "1d"] = []

    assert source.fetch([TCS]) == [Quote("TCS.NS", Decimal("2990.00"), Source.YAHOO, closed_at)]
    assert len(yahoo.charts()) == 1


def test_a_day_without_a_close_has_a_price(
    yahoo: FakeYahoo, source: YahooSource, clock: ManualClock
) -> None:
    yahoo.rows["TCS.NS", "1d"] = [(clock.now(), None, None, None, None)]

    assert prices(source.fetch([TCS])) == {"TCS.NS": Decimal("3000.10")}


def test_an_unknown_symbol_is_skipped_after_one_request(
    yahoo: FakeYahoo, source: YahooSource
) -> None:
    del yahoo.metadata["TCS.NS"]
    source.fetch([NIFTY])
    before = len(yahoo.requests)

    assert set(prices(source.fetch([TCS, NIFTY]))) == {"^NSEI"}
    assert source.fetch([TCS]) == []
    # yfinance alone would request another cookie, consent and crumb for each.
    assert len(yahoo.requests) == before + 3
