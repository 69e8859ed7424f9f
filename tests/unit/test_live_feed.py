"""The live feed: symbol by symbol from the best source that has a price."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from decimal import Decimal

import pytest

from app.domain.candle import Candle, Interval
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import Quote, Source
from app.market_data.instruments.registry import Instrument
from app.market_data.providers.base import SourceRefused, SourceUnavailable
from tests.support.live import eventually
from tests.support.live_market import INTERVAL, NIFTY, RELIANCE, Market
from tests.support.market import ManualClock
from tests.support.quotes import DETAILS


def test_prices_come_from_the_first_source(market: Market) -> None:
    ticks = market.round(NIFTY, RELIANCE)

    assert {tick.source for tick in ticks.values()} == {Source.ANGEL_ONE}
    assert market.yahoo.calls == []


def test_a_symbol_that_the_first_source_lacks_comes_from_the_next(
    market: Market,
) -> None:
    del market.angel.prices[RELIANCE]

    ticks = market.round(NIFTY, RELIANCE)

    assert ticks[NIFTY].source is Source.ANGEL_ONE
    assert ticks[RELIANCE].source is Source.YAHOO
    assert market.yahoo.calls == [[RELIANCE]]


def test_if_the_first_source_fails_the_next_prices_all_symbols(market: Market) -> None:
    market.angel.failing = SourceUnavailable("down")
    ticks = market.round(NIFTY, RELIANCE)
    assert {tick.source for tick in ticks.values()} == {Source.YAHOO}


def test_its_recovery_is_noticed_without_a_restart(market: Market) -> None:
    market.angel.failing = SourceUnavailable("down")
    for _ in range(4):
        market.round(NIFTY)
        market.clock.advance(INTERVAL)
    market.angel.failing = None

    for _ in range(4):
        market.clock.advance(INTERVAL)
        ticks = market.round(NIFTY)
    assert ticks[NIFTY].source is Source.ANGEL_ONE


def test_wrong_credentials_of_one_source_do_not_affect_the_next(market: Market) -> None:
    market.angel.failing = SourceRefused("the PIN is wrong")
    for _ in range(3):
        assert market.round(NIFTY)[NIFTY].source is Source.YAHOO
        market.clock.advance(INTERVAL)
    assert len(market.angel.calls) == 1


def test_a_hanging_source_delays_no_symbol_of_another(clock: ManualClock, market: Market) -> None:
    market.angel.only = {NIFTY}
    market.angel.go.clear()

    ticks = market.round(RELIANCE)
    came = market.feed.poll([NIFTY, RELIANCE])

    def collect() -> list[Quote]:
        came.extend(market.feed.collect())
        return came

    eventually(collect)
    assert {each.symbol for each in came} == {RELIANCE}
    assert ticks[RELIANCE].source is Source.YAHOO


def test_a_poll_never_waits(market: Market) -> None:
    market.angel.go.clear()
    market.yahoo.go.clear()
    assert market.feed.poll([NIFTY, RELIANCE]) == []


def test_a_single_failure_keeps_the_last_real_price(market: Market) -> None:
    market.round(NIFTY)
    market.fails()
    market.clock.advance(INTERVAL)
    market.feed.poll([NIFTY])
    eventually(lambda: market.yahoo.calls)

    quote = market.feed.latest(NIFTY)

    assert quote
    assert quote.source is Source.ANGEL_ONE


def test_after_repeated_failures_the_simulated_market_continues_from_the_last_real_price(
    market: Market,
) -> None:
    market.round(NIFTY)
    market.fails()
    market.clock.advance(3 * INTERVAL)

    quote = market.round(NIFTY)[NIFTY]

    assert quote.source is Source.MOCK
    assert abs(quote.price - 25_000) < 100


def test_without_a_simulated_market_there_is_no_price_after_repeated_failures(
    clock: ManualClock,
) -> None:
    market = Market(clock, simulated=False)
    market.round(NIFTY)
    market.fails()
    clock.advance(3 * INTERVAL)

    assert market.feed.latest(NIFTY) is None


def test_an_unpolled_symbol_is_requested_on_demand(market: Market) -> None:
    quote = market.feed.latest(RELIANCE)

    assert quote
    assert (quote.price, quote.source) == (Decimal(1_400), Source.ANGEL_ONE)
    assert market.angel.calls == [[RELIANCE]]


def test_a_recent_quote_is_served_without_a_request(market: Market) -> None:
    market.round(NIFTY)
    market.clock.advance(2 * INTERVAL)
    asked = len(market.angel.calls)

    assert market.feed.latest(NIFTY)
    assert len(market.angel.calls) == asked


def test_a_quote_polled_by_another_process_is_served_without_a_request(clock: ManualClock) -> None:
    elsewhere = Quote(NIFTY, Decimal("25001.00"), Source.ANGEL_ONE, clock.now())
    market = Market(clock, last_quote=lambda _: elsewhere)

    assert market.feed.latest(NIFTY) == elsewhere
    assert market.angel.calls == []

    clock.advance(3 * INTERVAL)
    quote = market.feed.latest(NIFTY)
    assert quote
    assert quote.price == 25_000


def test_a_stored_price_of_another_market_is_not_served(clock: ManualClock) -> None:
    simulated = Quote(NIFTY, Decimal("1.00"), Source.MOCK, clock.now())
    market = Market(clock, simulated=False, last_quote=lambda _: simulated)

    quote = market.feed.latest(NIFTY)
    assert quote
    assert quote.source is Source.ANGEL_ONE


def test_a_slow_second_source_does_not_overtake_the_first(clock: ManualClock) -> None:
    market = Market(clock, fetch_seconds=30)
    del market.angel.prices[RELIANCE]
    market.angel.failing = SourceUnavailable("down")
    market.yahoo.go.clear()
    market.feed.poll([NIFTY])
    eventually(lambda: market.yahoo.calls)
    market.angel.failing = None
    market.round(NIFTY)

    market.yahoo.go.set()
    # The second source answers in order: when RELIANCE is here, its late NIFTY was here before.
    ticks = market.round(RELIANCE)

    assert list(ticks) == [RELIANCE]
    quote = market.feed.latest(NIFTY)
    assert quote
    assert quote.source is Source.ANGEL_ONE


def test_an_outage_leaves_a_gap_and_a_single_failure_does_not(market: Market) -> None:
    market.round(NIFTY)
    began = market.clock.now()
    market.fails()
    market.clock.advance(INTERVAL)
    market.feed.poll([NIFTY])
    eventually(lambda: market.feed.describe()["yahoo"]["last_error"])
    market.clock.advance(60)
    market.fails(None)
    market.angel.failing = market.yahoo.failing = None
    market.round(NIFTY)

    (gap,) = market.feed.collect_gaps()
    assert (gap.symbol, gap.since, gap.until) == (NIFTY, began, began + timedelta(seconds=70))
    assert market.feed.collect_gaps() == []

    market.clock.advance(INTERVAL)
    market.round(NIFTY)
    assert market.feed.collect_gaps() == []


def test_candles_come_from_the_first_source_that_has_any(market: Market) -> None:
    start = market.clock.now().replace(second=0)
    tick = Quote(NIFTY, Decimal(24_000), Source.YAHOO, start)
    market.yahoo.candles_by_symbol[NIFTY] = [Candle.of([tick])]

    candles = market.feed.candles(NIFTY, start + timedelta(seconds=30), start + timedelta(hours=1))

    assert [candle.source for candle in candles] == [Source.YAHOO]


def test_history_is_unavailable_without_a_source(market: Market) -> None:
    market.fails()
    now = market.clock.now()
    with pytest.raises(MarketDataUnavailable):
        market.feed.history(NIFTY, Interval.HOUR, now - timedelta(days=1), now)


class ScriptedStream:
    """A stream that is live for the symbols in `live`."""

    def __init__(self, *, has_details: bool = True) -> None:
        self.has_details = has_details
        self.live: set[str] = set()
        self.followed: set[str] = set()
        self.closed = False

    def follow(self, instruments: Collection[Instrument]) -> None:
        self.followed = {instrument.symbol for instrument in instruments}

    def is_live(self, symbol: str) -> bool:
        return symbol in self.live

    def close(self) -> None:
        self.closed = True


def test_streamed_symbols_are_not_polled(market: Market) -> None:
    stream = ScriptedStream()
    market.feed.stream = stream
    stream.live = {NIFTY}
    tick = Quote(NIFTY, Decimal("25000.05"), Source.ANGEL_ONE, market.clock.now())

    market.feed.receive([tick])
    ticks = market.round(NIFTY, RELIANCE)

    assert ticks[NIFTY] == tick
    assert stream.followed == {NIFTY, RELIANCE}
    assert market.angel.calls == [[RELIANCE]]

    market.clock.advance(3600)
    assert market.feed.latest(NIFTY) == tick

    stream.live = set()
    market.round(NIFTY)
    assert market.angel.calls[-1] == [NIFTY]
    market.feed.close()
    assert stream.closed


def test_a_streamed_price_is_polled_for_its_details_once_a_minute(market: Market) -> None:
    stream = ScriptedStream(has_details=False)
    market.feed.stream = stream
    stream.live = {NIFTY}
    market.angel.details[NIFTY] = DETAILS
    tick = Quote(NIFTY, Decimal("25000.05"), Source.ANGEL_ONE, market.clock.now())
    market.feed.receive([tick])
    seen = [market.round(NIFTY)[NIFTY]]

    def has_details() -> bool:
        seen.extend(market.feed.collect())
        return seen[-1].details == DETAILS

    eventually(has_details)
    assert (seen[-1].price, seen[-1].timestamp) == (tick.price, tick.timestamp)
    assert market.feed.latest(NIFTY) == tick
    market.clock.advance(59)
    market.feed.poll([NIFTY])
    assert market.angel.calls == [[NIFTY]]
    market.clock.advance(1)
    market.feed.poll([NIFTY])
    eventually(lambda: len(market.angel.calls) == 2)
    assert market.yahoo.calls == []


def test_a_failed_poll_for_details_does_not_end_a_streamed_price(market: Market) -> None:
    stream = ScriptedStream(has_details=False)
    market.feed.stream = stream
    stream.live = {NIFTY}
    market.angel.failing = SourceUnavailable("down")
    tick = Quote(NIFTY, Decimal("25000.05"), Source.ANGEL_ONE, market.clock.now())
    for _ in range(4):
        market.feed.receive([tick])
        market.feed.poll([NIFTY])
        market.clock.advance(INTERVAL)

    eventually(lambda: market.angel.calls)
    assert market.feed.latest(NIFTY) == tick
    assert market.yahoo.calls == []
    market.feed.receive([tick])
    assert market.feed.collect_gaps() == []


def test_a_late_polled_price_does_not_overtake_the_stream(market: Market) -> None:
    stream = ScriptedStream()
    market.feed.stream = stream
    market.angel.go.clear()
    market.feed.poll([NIFTY])
    stream.live = {NIFTY}
    tick = Quote(NIFTY, Decimal("25100.00"), Source.ANGEL_ONE, market.clock.now())
    market.feed.receive([tick])
    market.clock.advance(1)
    market.angel.go.set()

    eventually(lambda: market.feed.describe()["angel_one"]["seconds_since_last_answer"] == 0)
    assert market.feed.latest(NIFTY) == tick


@pytest.mark.parametrize("price", [0, -1, 10**8, Decimal("NaN"), Decimal("Infinity")])
def test_an_invalid_streamed_price_is_dropped(
    market: Market, clock: ManualClock, price: Decimal | int
) -> None:
    bad = Quote(NIFTY, Decimal(price), Source.ANGEL_ONE, clock.now())

    market.feed.receive([bad])

    assert market.feed.collect() == []
