"""Angel One's quotes, from a server with its API."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.clock import SystemClock
from app.domain.candle import Interval
from app.domain.quote import NO_DETAILS, Quote, QuoteDetails, Source
from app.market_data.providers.angel_one.session import AngelSession
from app.market_data.providers.angel_one.source import AngelOneSource
from app.market_data.providers.angel_one.throttle import REQUESTS, Throttle
from app.market_data.providers.base import SourceUnavailable
from config import Settings
from tests.fakes.angel_one import NIFTY, FakeAngelOne
from tests.support.angel_one import NIFTY_50, RELIANCE, SENSEX_30, shares
from tests.support.market import ManualClock


def test_quotes_have_whole_paise_and_the_time_of_the_answer(
    angel_one: AngelOneSource, angel: FakeAngelOne, clock: ManualClock
) -> None:
    angel.prices[NIFTY] = 25_012.345

    quotes = angel_one.fetch([NIFTY_50, SENSEX_30])

    assert quotes == [
        Quote("^NSEI", Decimal("25012.35"), Source.ANGEL_ONE, clock.now()),
        Quote("^BSESN", Decimal("81001.20"), Source.ANGEL_ONE, clock.now()),
    ]
    assert str(quotes[1].price) == "81001.20"
    assert [request.body for request in angel.requests if request.route == "quote"] == [
        {"mode": "FULL", "exchangeTokens": {"NSE": ["99926000"], "BSE": ["99919000"]}}
    ]


FULL_ROW = {
    "open": 567.4,
    "high": 569.35,
    "low": 566.1,
    "close": 567.45,
    "lastTradeQty": 1,
    "netChange": 0.8,
    "percentChange": 0.14,
    "avgPrice": 567.83,
    "tradeVolume": 3_556_150,
    "opnInterest": 0,
    "lowerCircuit": 510.7,
    "upperCircuit": 624.1,
    "totBuyQuan": 839_549,
    "totSellQuan": 1_284_767,
    "52WeekLow": 430.7,
    "52WeekHigh": 629.55,
    "depth": {
        "buy": [{"price": 568.2, "quantity": 511, "orders": 2}, {"price": 568.15}],
        "sell": [{"price": 568.25, "quantity": 3_348, "orders": 5}, {"price": 568.3}],
    },
}


def test_a_quote_has_the_order_book_the_bands_and_the_figures_of_the_day(
    angel_one: AngelOneSource, angel: FakeAngelOne
) -> None:
    (share,) = shares(1)
    angel.prices["NSE", "1"] = 568.2
    angel.full_rows["NSE", "1"] = FULL_ROW

    (quote,) = angel_one.fetch([share])

    assert quote.details == QuoteDetails(
        bid=Decimal("568.20"),
        ask=Decimal("568.25"),
        previous_close=Decimal("567.45"),
        open=Decimal("567.40"),
        high=Decimal("569.35"),
        low=Decimal("566.10"),
        volume=3_556_150,
        lower_band=Decimal("510.70"),
        upper_band=Decimal("624.10"),
    )
    assert (quote.change, quote.change_pct) == (Decimal("0.75"), Decimal("0.13"))


@pytest.mark.parametrize(
    "row",
    [
        # Before the first trade of a day, and for what an index does not have.
        {"open": 0, "high": 0, "low": 0, "lowerCircuit": 0, "upperCircuit": 0, "depth": {}},
        {"depth": {"buy": [{"price": 0, "quantity": 0}], "sell": []}, "close": -1},
        {"depth": [], "close": "dear", "tradeVolume": "many"},
        {"depth": {"buy": [None], "sell": "none"}, "tradeVolume": -1, "high": True},
        {"depth": None, "tradeVolume": 0.5, "open": float("nan")},
        {"lowerCircuit": 110, "upperCircuit": 100, "high": 1, "low": 2},
    ],
)
def test_what_is_not_a_possible_detail_is_unknown(
    angel_one: AngelOneSource, angel: FakeAngelOne, row: dict[str, object]
) -> None:
    angel.prices["NSE", "1"] = 568.2
    angel.full_rows["NSE", "1"] = row

    (quote,) = angel_one.fetch(shares(1))

    assert quote.price == Decimal("568.20")
    assert quote.details == NO_DETAILS


def test_an_index_has_no_volume(angel_one: AngelOneSource, angel: FakeAngelOne) -> None:
    angel.full_rows[NIFTY] = FULL_ROW | {"tradeVolume": 0}

    (quote,) = angel_one.fetch([NIFTY_50])

    assert (quote.details.high, quote.details.volume) == (Decimal("569.35"), None)


def test_a_quote_has_the_exchanges_time_if_the_answer_contains_it(
    angel_one: AngelOneSource, angel: FakeAngelOne, clock: ManualClock
) -> None:
    angel.feed_time = "23-Nov-2026 09:29:58"
    assert angel_one.fetch([NIFTY_50])[0].timestamp == datetime(2026, 11, 23, 3, 59, 58, tzinfo=UTC)

    angel.feed_time = "a moment ago"
    assert angel_one.fetch([NIFTY_50])[0].timestamp == clock.now()


def test_instruments_unknown_to_the_vendor_are_skipped(angel_one: AngelOneSource) -> None:
    elsewhere = replace(RELIANCE, exchange="MOON")
    nameless = replace(RELIANCE, angel_token="")

    assert not angel_one.knows(elsewhere)
    assert not angel_one.knows(nameless)
    assert [
        quote.symbol for quote in angel_one.fetch([RELIANCE, NIFTY_50, elsewhere, nameless])
    ] == ["^NSEI"]


@pytest.mark.parametrize(
    "price", [0, -1, 0.004, None, True, "dear", [1], float("nan"), float("inf"), 1e300]
)
def test_an_invalid_price_is_skipped(
    angel_one: AngelOneSource, angel: FakeAngelOne, price: object
) -> None:
    angel.prices[NIFTY] = price

    assert [quote.symbol for quote in angel_one.fetch([NIFTY_50, SENSEX_30])] == ["^BSESN"]


def test_a_token_that_was_not_requested_is_skipped(
    angel_one: AngelOneSource, angel: FakeAngelOne
) -> None:
    # The first is SENSEX's token on another exchange, the second was not requested.
    angel.further_rows = [
        {"exchange": "NSE", "symbolToken": "99919000", "ltp": 1},
        {"exchange": "NSE", "symbolToken": "2885", "ltp": 1400},
        {"ltp": 5},
        None,
        "row",
    ]

    assert [str(quote.price) for quote in angel_one.fetch([SENSEX_30])] == ["81001.20"]


def test_a_request_has_at_most_fifty_instruments(
    angel_one: AngelOneSource, angel: FakeAngelOne
) -> None:
    many = shares(120)
    angel.prices = {(instrument.exchange, instrument.angel_token): 100.0 for instrument in many}

    quotes = angel_one.fetch(many)

    assert [quote.symbol for quote in quotes] == [instrument.symbol for instrument in many]
    sizes = [
        len(request.body["exchangeTokens"]["NSE"])
        for request in angel.requests
        if request.route == "quote"
    ]
    assert sizes == [50, 50, 20]


def test_no_instruments_cause_no_request(angel_one: AngelOneSource, angel: FakeAngelOne) -> None:
    assert angel_one.fetch([]) == []
    assert angel.requests == []


def test_no_request_begins_after_the_deadline(
    angel_one: AngelOneSource, angel: FakeAngelOne
) -> None:
    with pytest.raises(SourceUnavailable, match=r"too (much|long)"):
        angel_one.fetch([NIFTY_50], deadline=time.monotonic())
    with pytest.raises(SourceUnavailable, match=r"too (much|long)"):
        angel_one.candles(
            NIFTY_50,
            Interval.DAY,
            datetime(2026, 11, 1, tzinfo=UTC),
            datetime(2026, 11, 20, tzinfo=UTC),
            deadline=time.monotonic(),
        )

    assert angel.requests == []


def test_one_connection_serves_every_request(
    angel_one: AngelOneSource, angel: FakeAngelOne
) -> None:
    for _ in range(5):
        angel_one.fetch([NIFTY_50])
    angel_one.candles(NIFTY_50, Interval.DAY, datetime(2026, 11, 1, tzinfo=UTC), datetime.now(UTC))

    assert len(angel.requests) == 7
    assert angel.connections == 1


def test_a_connection_that_the_vendor_closed_is_replaced(
    angel_one: AngelOneSource, angel: FakeAngelOne
) -> None:
    angel_one.fetch([NIFTY_50])
    angel.drop_connections()

    assert angel_one.fetch([NIFTY_50])
    assert angel.connections == 2


def test_all_threads_share_three_requests_a_second(
    make_settings: Callable[..., Settings],
) -> None:
    angel = FakeAngelOne()
    with angel.serve() as root:
        settings = make_settings(**angel.variables(root))
        # Two sources share the throttle of the process.
        sources = [AngelOneSource(settings, SystemClock()) for _ in range(2)]
        quotes: list[Quote] = []
        threads = [
            threading.Thread(
                target=lambda source: quotes.extend(source.fetch([NIFTY_50])), args=[source]
            )
            for source in sources * 3
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(quotes) == 6
    assert angel.count("login") == 2
    assert angel.busiest(1) == 3
    assert angel.busiest(1, "login") == 1


def take_slot(throttle: Throttle, timeout: float) -> float:
    """Take a slot; return when it was taken."""
    with throttle.slot(timeout):
        return time.monotonic()


def test_a_queue_that_is_too_long_raises_instead_of_waiting() -> None:
    throttle = Throttle(1)
    with throttle.slot(0), pytest.raises(SourceUnavailable, match="too many requests are waiting"):
        # The request before has no response yet.
        take_slot(throttle, 0.1)

    with pytest.raises(SourceUnavailable, match="too many requests are waiting"):
        take_slot(throttle, 0.1)


def test_a_slot_is_free_one_second_after_the_answer() -> None:
    throttle = Throttle(1)
    with ThreadPoolExecutor(1) as pool:
        with throttle.slot(0):
            waiting = pool.submit(take_slot, throttle, 30)
            answered = time.monotonic()

        assert waiting.result() >= answered + 1


def test_the_process_has_one_throttle() -> None:
    defaults = inspect.signature(AngelSession).parameters
    assert defaults["requests"].default is REQUESTS


def test_verifying_signs_in_and_prices_one_index(
    angel_one: AngelOneSource, angel: FakeAngelOne
) -> None:
    assert angel_one.verify() == "signed in; NIFTY 50 at 25012.35"
    assert [request.route for request in angel.requests] == ["login", "quote"]

    del angel.prices[NIFTY]
    with pytest.raises(SourceUnavailable, match="My Apps"):
        angel_one.verify()


def test_other_calls_of_smartconnect_use_the_same_connection(
    angel_one: AngelOneSource, angel: FakeAngelOne
) -> None:
    call = angel_one.session.call

    assert call(lambda client: client.ltpData("NSE", "NIFTY", "99926000"))["data"][
        "ltp"
    ] == Decimal("25012.35")
    assert call(lambda client: client.searchScrip("NSE", "99926000"))["data"] == [
        {"exchange": "NSE", "tradingsymbol": "symbol 99926000", "symboltoken": "99926000"}
    ]
    assert (
        call(lambda client: client.getProfile("a-refresh-token"))["data"]["name"] == "TEST CLIENT"
    )
    assert angel.connections == 1
    # SmartConnect would put the token there.
    assert not any("a-refresh-token" in request.path for request in angel.requests)
