"""The simulated market: the same seed gives the same prices."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from app.domain.candle import Interval, beginning_of
from app.domain.quote import Source
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.instruments.registry import load_instruments
from tests.support.market import ManualClock

INSTRUMENTS = load_instruments()
SYMBOLS = ["^NSEI", "^BSESN", "RELIANCE.NS"]


def market(
    clock: ManualClock, seed: str | None = "7", last_prices: dict[str, Decimal] | None = None
) -> SimulatedFeed:
    return SimulatedFeed(INSTRUMENTS, clock, seed=seed, last_prices=last_prices)


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


def test_different_seeds_differ() -> None:
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


def test_the_price_moves_from_poll_to_poll() -> None:
    clock = ManualClock()

    assert len(set(walk(market(clock), clock))) > 20


def test_the_price_of_a_time_does_not_depend_on_the_start_of_the_server() -> None:
    early, late = ManualClock(), ManualClock()
    first = market(early)
    early.advance(86_400)
    late.advance(86_400)

    assert price(market(late)) == price(first)


def test_a_price_stands_for_a_second() -> None:
    clock = ManualClock()
    feed = market(clock)
    first = price(feed)
    clock.advance(0.9)

    assert price(feed) == first
    clock.advance(0.1)
    assert price(feed) != first


def test_prices_are_near_those_of_the_data_file() -> None:
    feed = market(ManualClock())

    for instrument in INSTRUMENTS:
        start = float(instrument.start_price)
        assert float(price(feed, instrument.symbol)) == pytest.approx(start, rel=0.15)


def test_two_listings_of_a_share_stay_together() -> None:
    clock = ManualClock()
    feed = market(clock)
    shares = [each for each in INSTRUMENTS if each.symbol.endswith(".NS")]
    for _ in range(40):
        clock.advance(2_777)
        for share in shares:
            nse, bse = price(feed, share.symbol), price(feed, f"{share.ticker}.BO")
            assert abs(nse - bse) <= Decimal("0.001") * nse + share.tick_size


def test_a_quote_has_the_figures_of_its_day() -> None:
    clock = ManualClock()
    feed = market(clock)
    since = beginning_of(clock.now(), Interval.DAY)
    for _ in range(10):
        clock.advance(997)
        for symbol in ("^NSEI", "TCS.NS"):
            (today,) = feed.history(symbol, Interval.DAY, since, clock.now())
            (before,) = feed.history(symbol, Interval.DAY, since - timedelta(days=1), since)
            quote = feed.latest(symbol)
            assert quote
            known = quote.details
            assert (known.previous_close, known.open) == (before.close, today.open)
            assert known.low is not None
            assert known.high is not None
            assert today.low <= known.low <= quote.price <= known.high <= today.high
            assert known.volume == today.volume
            assert quote.change == quote.price - before.close


def test_a_share_trades_at_its_bid_or_its_ask() -> None:
    clock = ManualClock()
    feed = market(clock)
    sides = set()
    for share in [each for each in INSTRUMENTS if not each.is_index]:
        clock.advance(7)
        quote = feed.latest(share.symbol)
        assert quote
        known = quote.details
        assert known.bid is not None
        assert known.ask is not None
        assert known.lower_band is not None
        assert known.upper_band is not None
        spread = known.ask - known.bid
        assert share.tick_size <= spread <= max(share.tick_size, quote.price / 1_000)
        assert quote.price in (known.bid, known.ask)
        assert known.lower_band < known.bid < known.ask < known.upper_band
        assert spread % share.tick_size == known.upper_band % share.tick_size == 0
        sides.add(quote.price == known.bid)
    assert sides == {True, False}


def test_an_index_is_not_traded() -> None:
    quote = market(ManualClock()).latest("^NSEI")
    assert quote

    assert (quote.details.bid, quote.details.volume, quote.details.upper_band) == (None,) * 3


def test_volumes_are_those_of_the_data_file_on_average() -> None:
    feed = market(ManualClock())
    since = feed.now() - timedelta(days=120)

    for symbol, volume in (("RELIANCE.NS", 12_000_000), ("RELIANCE.BO", 720_000)):
        candles = feed.history(symbol, Interval.DAY, since, feed.now() - timedelta(days=1))
        traded = [candle.volume or 0 for candle in candles]
        assert sum(traded) / len(traded) == pytest.approx(volume, rel=0.35)
        assert max(traded) > 1.5 * min(traded) > 0


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
    assert price(feed, "^BSESN") < 85_000


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
