"""The simulated market: the same seed gives the same prices."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.domain.quote import Source
from app.market_data.feeds.simulated import START_SPREAD, SimulatedFeed
from app.market_data.instruments.registry import load_instruments
from tests.support.market import ManualClock

INSTRUMENTS = load_instruments()
SYMBOLS = ["^NSEI", "^BSESN", "RELIANCE.NS"]


def market(
    clock: ManualClock, seed: str | None = "7", last_prices: dict[str, Decimal] | None = None
) -> SimulatedFeed:
    return SimulatedFeed(INSTRUMENTS, clock, seed=seed, step_seconds=10, last_prices=last_prices)


def price(feed: SimulatedFeed, symbol: str = "^NSEI") -> Decimal:
    quote = feed.latest(symbol)
    assert quote is not None
    return quote.price


def walk(feed: SimulatedFeed, clock: ManualClock, steps: int = 30) -> list[Decimal]:
    prices = []
    for _ in range(steps):
        prices.append(price(feed))
        clock.advance(10)
    return prices


def test_the_same_seed_gives_the_same_prices() -> None:
    one, other = ManualClock(), ManualClock()

    assert walk(market(one), one) == walk(market(other), other)


def test_different_seeds_differ_from_the_first_price() -> None:
    clock = ManualClock()

    assert len({price(market(clock, seed)) for seed in "abcdefgh"}) == 8


def test_without_a_seed_every_market_differs() -> None:
    clock = ManualClock()

    assert len({price(market(clock, None)) for _ in range(8)}) > 1


def test_prices_do_not_depend_on_the_order_of_requests() -> None:
    clock = ManualClock()
    busy, quiet = market(clock), market(clock)
    for number in range(20):
        busy.poll(SYMBOLS[:: 1 if number % 2 else -1])
        busy.latest("TCS.NS")
        clock.advance(10)

    seen = {each.symbol: each.price for each in busy.poll(SYMBOLS)}

    assert seen == {each.symbol: each.price for each in quiet.poll(list(reversed(SYMBOLS)))}


def test_reading_a_price_does_not_change_it() -> None:
    clock = ManualClock()
    feed = market(clock)

    assert len({price(feed) for _ in range(50)}) == 1
    assert feed.poll(SYMBOLS) == feed.poll(SYMBOLS)


def test_the_price_moves_with_each_step() -> None:
    clock = ManualClock()

    assert len(set(walk(market(clock), clock))) > 20


def test_a_slightly_early_or_late_poll_is_at_its_step() -> None:
    early, late, on_time = ManualClock(), ManualClock(), ManualClock()
    feeds = [market(clock) for clock in (early, late, on_time)]
    early.advance(9.7)
    late.advance(10.3)
    on_time.advance(10)

    assert len({price(feed) for feed in feeds}) == 1


def test_each_instrument_has_its_own_path() -> None:
    feed = market(ManualClock())

    starts = {price(feed, instrument.symbol) / instrument.start_price for instrument in INSTRUMENTS}

    assert len({round(start, 5) for start in starts}) > 50


def test_a_market_starts_near_the_start_price_of_each_instrument() -> None:
    feed = market(ManualClock())

    for instrument in INSTRUMENTS:
        start = price(feed, instrument.symbol)
        spread = instrument.start_price * Decimal(str(START_SPREAD))
        assert abs(start - instrument.start_price) <= spread + instrument.tick_size


def test_every_price_is_a_multiple_of_the_tick_size() -> None:
    clock = ManualClock()
    feed = market(clock)
    for _ in range(10):
        for instrument in INSTRUMENTS:
            assert price(feed, instrument.symbol) % instrument.tick_size == 0
        clock.advance(10)


def test_a_market_without_a_seed_continues_from_the_last_prices() -> None:
    feed = market(ManualClock(), None, {"^NSEI": Decimal("31234.55")})

    assert price(feed) == Decimal("31234.55")
    assert price(feed, "^BSESN") < 81_000


def test_a_market_with_a_seed_does_not() -> None:
    clock = ManualClock()

    assert price(market(clock, "7", {"^NSEI": Decimal(31_234)})) == price(market(clock, "7"))


def test_an_empty_seed_is_a_seed() -> None:
    clock = ManualClock()

    assert price(market(clock, "")) == price(market(clock, ""))


def test_its_quotes_have_the_mock_source_and_the_time() -> None:
    clock = ManualClock()
    feed = market(clock)
    clock.advance(25)

    (quote,) = feed.poll(["^NSEI"])

    assert (quote.symbol, quote.source, quote.timestamp) == ("^NSEI", Source.MOCK, clock.now())


@pytest.mark.parametrize("symbol", ["AAPL", "NIFTY", ""])
def test_an_unknown_symbol_has_no_price(symbol: str) -> None:
    feed = market(ManualClock())

    assert feed.latest(symbol) is None
    assert feed.poll([symbol]) == []
