"""The live feed: batches, priorities, and waiting for prices."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from app.market_data.instruments.registry import load_instruments
from app.market_data.providers.base import SourceRefused
from tests.support.live import eventually
from tests.support.live_market import NIFTY, RELIANCE, Market
from tests.support.market import ManualClock


def test_three_hundred_symbols_are_requested_in_batches(market: Market) -> None:
    symbols = [each.symbol for each in load_instruments()]
    market.angel.prices.update(dict.fromkeys(symbols, Decimal(100)))

    market.round(*symbols)

    assert [len(batch) for batch in market.angel.calls] == [50, 50, len(symbols) - 100]


def test_one_wait_covers_many_symbols_without_a_price(clock: ManualClock) -> None:
    market = Market(clock, simulated=False)
    symbols = [each.symbol for each in load_instruments().search("")[:30]]
    started = time.monotonic()

    assert market.feed.latest_of(symbols).keys() == {NIFTY, RELIANCE}
    # A second for each of the others would be 28.
    assert time.monotonic() - started < 10


def many(number: int) -> list[str]:
    return [each.symbol for each in load_instruments() if each.symbol != RELIANCE][:number]


@pytest.mark.parametrize("batch_size", [10])
def test_preferred_symbols_are_requested_before_older_ones(
    market: Market,
) -> None:
    followed = many(90)
    market.angel.go.clear()
    market.feed.poll(followed)
    eventually(lambda: market.angel.calls)

    market.feed.prefer([RELIANCE])
    market.feed.poll([*followed, RELIANCE])
    market.angel.go.set()

    eventually(lambda: len(market.angel.calls) >= 3)
    assert market.angel.calls[1] == [RELIANCE]


@pytest.mark.parametrize("batch_size", [10])
def test_the_symbol_of_an_order_is_requested_before_followed_ones(
    market: Market,
) -> None:
    market.angel.go.clear()
    market.feed.poll(many(90))
    eventually(lambda: market.angel.calls)

    with ThreadPoolExecutor() as pool:
        order = pool.submit(market.feed.latest, RELIANCE)
        # The second call follows after the queue took it.
        eventually(lambda: market.angel.asked_whether_known.count(RELIANCE) >= 2)
        market.angel.go.set()

        assert order.result() is not None
    assert market.angel.calls[1] == [RELIANCE]


@pytest.mark.parametrize("batch_size", [10])
def test_waiting_symbols_keep_their_order(market: Market) -> None:
    followed = many(30)
    market.angel.go.clear()
    market.feed.poll(followed)
    eventually(lambda: market.angel.calls)
    market.feed.poll(followed[::-1])
    market.angel.go.set()

    eventually(lambda: len(market.angel.calls) >= 3)
    asked = [symbol for call in market.angel.calls[:3] for symbol in call]
    assert asked == followed


def test_a_request_does_not_wait_for_sources_that_have_failed(clock: ManualClock) -> None:
    market = Market(clock, simulated=False)
    market.fails(SourceRefused("wrong credentials"))
    began = time.monotonic()

    for _ in range(20):
        assert market.feed.latest(RELIANCE) is None

    # Twenty waits of a second each would take longer.
    assert time.monotonic() - began < 10
