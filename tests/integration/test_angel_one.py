"""Angel One's quotes and candles, from a server with its API."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.clock import SystemClock
from app.domain.candle import IST, Candle, Interval
from app.domain.quote import NO_DETAILS, Quote, QuoteDetails, Source
from app.market_data.instruments.registry import Instrument, load_instruments
from app.market_data.providers.angel_one.session import AngelSession
from app.market_data.providers.angel_one.source import AngelOneSource
from app.market_data.providers.angel_one.throttle import REQUESTS, Throttle
from app.market_data.providers.base import SourceUnavailable
from config import Settings
from tests.fakes.angel_one import NIFTY, FakeAngelOne
from tests.support.angel_one import unthrottled_source
from tests.support.market import ManualClock

INSTRUMENTS = load_instruments()
NIFTY_50 = INSTRUMENTS.get("^NSEI")
SENSEX_30 = INSTRUMENTS.get("^BSESN")
RELIANCE = INSTRUMENTS.get("RELIANCE.NS")


@pytest.fixture
def source(
    angel: FakeAngelOne, clock: ManualClock, make_settings: Callable[..., Settings]
) -> Iterator[AngelOneSource]:
    """A source without a throttle."""
    with angel.serve() as root:
        yield unthrottled_source(make_settings(**angel.variables(root)), clock)


def shares(number: int) -> list[Instrument]:
    """Return instruments that are not among the shipped ones."""
    return [
        replace(RELIANCE, symbol=f"SHARE{n}.NS", angel_token=str(n)) for n in range(1, number + 1)
    ]


def test_quotes_have_whole_paise_and_the_time_of_the_answer(
    source: AngelOneSource, angel: FakeAngelOne, clock: ManualClock
) -> None:
    angel.prices[NIFTY] = 25_012.345

    quotes = source.fetch([NIFTY_50, SENSEX_30])

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
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    (share,) = shares(1)
    angel.prices["NSE", "1"] = 568.2
    angel.full_rows["NSE", "1"] = FULL_ROW

    (quote,) = source.fetch([share])

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
    source: AngelOneSource, angel: FakeAngelOne, row: dict[str, object]
) -> None:
    angel.prices["NSE", "1"] = 568.2
    angel.full_rows["NSE", "1"] = row

    (quote,) = source.fetch(shares(1))

    assert quote.price == Decimal("568.20")
    assert quote.details == NO_DETAILS


def test_an_index_has_no_volume(source: AngelOneSource, angel: FakeAngelOne) -> None:
    angel.full_rows[NIFTY] = FULL_ROW | {"tradeVolume": 0}

    (quote,) = source.fetch([NIFTY_50])

    assert (quote.details.high, quote.details.volume) == (Decimal("569.35"), None)


def test_a_quote_has_the_exchanges_time_if_the_answer_contains_it(
    source: AngelOneSource, angel: FakeAngelOne, clock: ManualClock
) -> None:
    angel.feed_time = "23-Nov-2026 09:29:58"
    assert source.fetch([NIFTY_50])[0].timestamp == datetime(2026, 11, 23, 3, 59, 58, tzinfo=UTC)

    angel.feed_time = "a moment ago"
    assert source.fetch([NIFTY_50])[0].timestamp == clock.now()


def test_instruments_unknown_to_the_vendor_are_skipped(source: AngelOneSource) -> None:
    elsewhere = replace(RELIANCE, exchange="MOON")
    nameless = replace(RELIANCE, angel_token="")

    assert not source.knows(elsewhere)
    assert not source.knows(nameless)
    assert [quote.symbol for quote in source.fetch([RELIANCE, NIFTY_50, elsewhere, nameless])] == [
        "^NSEI"
    ]


@pytest.mark.parametrize(
    "price", [0, -1, 0.004, None, True, "dear", [1], float("nan"), float("inf"), 1e300]
)
def test_an_invalid_price_is_skipped(
    source: AngelOneSource, angel: FakeAngelOne, price: object
) -> None:
    angel.prices[NIFTY] = price

    assert [quote.symbol for quote in source.fetch([NIFTY_50, SENSEX_30])] == ["^BSESN"]


def test_a_token_that_was_not_requested_is_skipped(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    # The first is SENSEX's token on another exchange, the second was not requested.
    angel.further_rows = [
        {"exchange": "NSE", "symbolToken": "99919000", "ltp": 1},
        {"exchange": "NSE", "symbolToken": "2885", "ltp": 1400},
        {"ltp": 5},
        None,
        "row",
    ]

    assert [str(quote.price) for quote in source.fetch([SENSEX_30])] == ["81001.20"]


def test_a_request_has_at_most_fifty_instruments(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    many = shares(120)
    angel.prices = {(instrument.exchange, instrument.angel_token): 100.0 for instrument in many}

    quotes = source.fetch(many)

    assert [quote.symbol for quote in quotes] == [instrument.symbol for instrument in many]
    sizes = [
        len(request.body["exchangeTokens"]["NSE"])
        for request in angel.requests
        if request.route == "quote"
    ]
    assert sizes == [50, 50, 20]


def test_no_instruments_cause_no_request(source: AngelOneSource, angel: FakeAngelOne) -> None:
    assert source.fetch([]) == []
    assert angel.requests == []


def test_no_request_begins_after_the_deadline(source: AngelOneSource, angel: FakeAngelOne) -> None:
    with pytest.raises(SourceUnavailable, match=r"too (much|long)"):
        source.fetch([NIFTY_50], deadline=time.monotonic())
    with pytest.raises(SourceUnavailable, match=r"too (much|long)"):
        source.candles(
            NIFTY_50,
            Interval.DAY,
            datetime(2026, 11, 1, tzinfo=UTC),
            datetime(2026, 11, 20, tzinfo=UTC),
            deadline=time.monotonic(),
        )

    assert angel.requests == []


def test_one_connection_serves_every_request(source: AngelOneSource, angel: FakeAngelOne) -> None:
    for _ in range(5):
        source.fetch([NIFTY_50])
    source.candles(NIFTY_50, Interval.DAY, datetime(2026, 11, 1, tzinfo=UTC), datetime.now(UTC))

    assert len(angel.requests) == 7
    assert angel.connections == 1


def test_a_connection_that_the_vendor_closed_is_replaced(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    source.fetch([NIFTY_50])
    angel.drop_connections()

    assert source.fetch([NIFTY_50])
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


NINE_FIFTEEN = datetime(2026, 11, 20, 9, 15, tzinfo=IST)


def test_only_candles_of_the_requested_span_are_returned(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    times = [NINE_FIFTEEN + timedelta(minutes=number) for number in range(5)]
    angel.history["99926000", "ONE_MINUTE"] = [
        (time, 100 + n, 110.055 + n, 90 + n, 105 + n, 7) for n, time in enumerate(times)
    ]

    candles = source.candles(NIFTY_50, Interval.MINUTE, times[1].astimezone(UTC), times[3])

    assert candles == [
        Candle(
            symbol="^NSEI",
            time=times[n].astimezone(UTC),
            open=Decimal(100 + n).quantize(Decimal("0.01")),
            high=Decimal(f"{110 + n}.06"),
            low=Decimal(90 + n).quantize(Decimal("0.01")),
            close=Decimal(105 + n).quantize(Decimal("0.01")),
            source=Source.ANGEL_ONE,
        )
        for n in (1, 2)
    ]
    assert candles[0].time.tzinfo is UTC
    assert angel.requests[-1].body == {
        "exchange": "NSE",
        "symboltoken": "99926000",
        "interval": "ONE_MINUTE",
        "fromdate": "2026-11-20 09:16",
        "todate": "2026-11-20 09:17",
    }


def test_candles_of_shares_have_their_volume(source: AngelOneSource, angel: FakeAngelOne) -> None:
    times = [NINE_FIFTEEN + timedelta(minutes=number) for number in range(3)]
    rows = zip(times, (1_200, -1, "many"), strict=True)
    angel.history["1", "ONE_MINUTE"] = [(time, 100, 101, 99, 100, volume) for time, volume in rows]
    (share,) = shares(1)

    candles = source.candles(share, Interval.MINUTE, times[0], times[-1] + timedelta(minutes=1))

    assert [candle.volume for candle in candles] == [1_200, None, None]


@pytest.mark.parametrize(
    ("interval", "name", "days"),
    [
        (Interval.MINUTE, "ONE_MINUTE", 30),
        (Interval.FIVE_MINUTES, "FIVE_MINUTE", 100),
        (Interval.QUARTER_HOUR, "FIFTEEN_MINUTE", 200),
        (Interval.HOUR, "ONE_HOUR", 400),
        (Interval.DAY, "ONE_DAY", 2000),
    ],
)
def test_a_span_beyond_the_vendors_maximum_is_requested_in_parts(
    source: AngelOneSource, angel: FakeAngelOne, interval: Interval, name: str, days: int
) -> None:
    until = NINE_FIFTEEN.replace(hour=0, minute=0)
    since = until - timedelta(days=2 * days + 1)
    # A candle at each edge of a part, and one at the end.
    times = [since, since + timedelta(days=days), since + timedelta(days=2 * days), until]
    angel.history["99926000", name] = [(time, 100, 101, 99, 100, 0) for time in times]

    candles = source.candles(NIFTY_50, interval, since, until)

    assert [candle.time for candle in candles] == times[:3]
    assert angel.count("candles") == 3


def test_a_daily_candle_is_found_from_any_time_of_the_day_before(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    midnight = NINE_FIFTEEN.replace(hour=0, minute=0)
    angel.history["99926000", "ONE_DAY"] = [(midnight, 100, 101, 99, 100, 0)]
    day_before = NINE_FIFTEEN - timedelta(days=1)

    assert len(source.candles(NIFTY_50, Interval.DAY, day_before, NINE_FIFTEEN)) == 1
    assert source.candles(NIFTY_50, Interval.DAY, NINE_FIFTEEN, NINE_FIFTEEN) == []


def test_future_candles_are_not_requested(
    source: AngelOneSource, angel: FakeAngelOne, clock: ManualClock
) -> None:
    tomorrow = clock.now() + timedelta(days=1)

    assert source.candles(NIFTY_50, Interval.MINUTE, tomorrow, tomorrow.replace(year=9999)) == []
    assert angel.requests == []
    source.candles(NIFTY_50, Interval.MINUTE, clock.now() - timedelta(hours=1), tomorrow)
    assert angel.count("candles") == 1


def test_a_span_that_is_too_long_is_refused_without_a_request(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    with pytest.raises(SourceUnavailable, match="at most 900 days of 1m candles"):
        source.candles(
            NIFTY_50, Interval.MINUTE, datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC)
        )
    assert angel.requests == []


def test_invalid_candles_are_skipped(source: AngelOneSource, angel: FakeAngelOne) -> None:
    def minute(number: int) -> datetime:
        return NINE_FIFTEEN + timedelta(minutes=number)

    angel.history["99926000", "ONE_MINUTE"] = [
        (minute(0), 100, 101, 99, 100, 0),
        (minute(1), 100, 99, 98, 100, 0),
        (minute(2), 100, 101, 99, None, 0),
        (minute(3), 100, 101),
        (minute(4), 100, 101, 100.5, 100, 0),
        (minute(5), -1, 101, -1, 100, 0),
    ]

    candles = source.candles(NIFTY_50, Interval.MINUTE, minute(0), minute(9))

    assert [candle.time for candle in candles] == [minute(0)]


def test_verifying_signs_in_and_prices_one_index(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    assert source.verify() == "signed in; NIFTY 50 at 25012.35"
    assert [request.route for request in angel.requests] == ["login", "quote"]

    del angel.prices[NIFTY]
    with pytest.raises(SourceUnavailable, match="My Apps"):
        source.verify()


def test_other_calls_of_smartconnect_use_the_same_connection(
    source: AngelOneSource, angel: FakeAngelOne
) -> None:
    call = source.session.call

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
