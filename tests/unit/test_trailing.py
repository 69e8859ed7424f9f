"""Trailing stops: their level, what they follow, and the best prices since any time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from app.domain.peaks import Peaks
from app.domain.quote import Posting, Quote, Source
from app.domain.side import TradeType
from app.domain.trailing import Start, Swing, TrailingStop, TrailingTerms, Unit
from app.domain.trailing_book import Follower, TrailingBook
from tests.support.quotes import NOON, quote


def posted(price: str, number: int, board: str = "a", source: Source = Source.MOCK) -> Quote:
    tick = quote(price, source, NOON + timedelta(seconds=number))
    return replace(tick, posting=Posting(board, number))


def trailing(
    side: TradeType = TradeType.BUY,
    start: Quote | None = None,
    *,
    unit: Unit = Unit.RUPEES,
    distance: str = "5",
    step: str = "0.05",
    tick_size: str = "0.05",
) -> TrailingStop:
    terms = TrailingTerms(unit, Decimal(distance), Decimal(step), Decimal(tick_size))
    return TrailingStop(side, terms, start_at(start or posted("100", 0)))


def start_at(tick: Quote) -> Start:
    return Start(tick.price, tick.source, tick.timestamp, tick.posting)


@pytest.mark.parametrize(
    ("side", "best", "level"),
    [
        (TradeType.BUY, "100", "95"),
        (TradeType.BUY, "107.30", "102.30"),
        (TradeType.SELL, "100", "105"),
        (TradeType.SELL, "92.70", "97.70"),
    ],
)
def test_a_level_is_the_offset_from_the_best_price(side: TradeType, best: str, level: str) -> None:
    assert trailing(side).level(quote(best)) == Decimal(level)


def test_of_equal_best_prices_the_last_counts_in_one_pass_and_in_several() -> None:
    ticks = [posted("104", 1), posted("103", 2), posted("104", 3)]
    stop, peaks, best = trailing(), Peaks(TradeType.BUY, "a"), None
    for tick in ticks:
        best = stop.after(best, tick)
        peaks.add(tick)

    assert best is ticks[-1]
    assert peaks.best_since(stop.start) is best


@pytest.mark.parametrize(
    ("side", "best", "level"),
    [
        # 3 % of 101.55 is 3.0465, so 98.5035 and 104.5965 before they are rounded.
        (TradeType.BUY, "101.55", "98.50"),
        (TradeType.SELL, "98.45", "101.45"),
    ],
)
def test_a_level_in_percent_is_rounded_to_the_tick_away_from_the_market(
    side: TradeType, best: str, level: str
) -> None:
    stop = trailing(side, unit=Unit.PERCENT, distance="3")

    assert stop.level(quote(best)) == Decimal(level)


@pytest.mark.parametrize(
    ("side", "best", "level"),
    [
        (TradeType.BUY, "101.95", "95"),
        (TradeType.BUY, "102", "97"),
        (TradeType.BUY, "105.90", "99"),
        (TradeType.SELL, "98.05", "105"),
        (TradeType.SELL, "98", "103"),
    ],
)
def test_a_level_moves_in_whole_steps(side: TradeType, best: str, level: str) -> None:
    assert trailing(side, step="2").level(quote(best)) == Decimal(level)


def test_only_prices_after_the_start_are_followed() -> None:
    stop = trailing(start=posted("100", 7))

    assert not stop.counts(posted("101", 7))
    assert stop.counts(posted("101", 8))


def test_a_real_stop_follows_no_simulated_price() -> None:
    stop = trailing(start=posted("100", 1, source=Source.YAHOO))

    assert not stop.counts(posted("101", 2))
    assert stop.counts(posted("101", 2, source=Source.ANGEL_ONE))


def test_the_best_price_is_that_after_a_start_on_the_same_board() -> None:
    peaks = Peaks(TradeType.BUY, "a")
    for number, price in enumerate(("103", "101", "102", "102", "99"), 1):
        peaks.add(posted(price, number))

    bests = [peaks.best_since(posted("98", number)) for number in range(6)]

    assert [best and best.price for best in bests] == [103, 102, 102, 102, 99, None]


def test_the_best_price_of_a_sell_is_the_lowest() -> None:
    peaks = Peaks(TradeType.SELL, "a")
    for number, price in enumerate(("97", "99", "98"), 1):
        peaks.add(posted(price, number))

    assert peaks.best_since(posted("100", 1)) == posted("98", 3)


def test_prices_of_an_earlier_board_precede_a_start_on_this_one() -> None:
    peaks = Peaks(TradeType.BUY, "b", [posted("110", 90, "a"), posted("105", 95, "a")])
    peaks.add(posted("103", 2, "b"))

    assert peaks.best_since(posted("100", 1, "b")) == posted("103", 2, "b")
    assert peaks.best_since(posted("100", 92, "a")) == posted("105", 95, "a")
    assert peaks.best_since(posted("100", 99, "a")) == posted("103", 2, "b")


def test_a_price_of_a_candle_counts_from_the_time_of_the_start_on() -> None:
    peaks = Peaks(TradeType.BUY, "a")
    peaks.add(quote("103", timestamp=NOON + timedelta(seconds=60)))

    assert peaks.best_since(posted("100", 60)) is not None
    assert peaks.best_since(posted("100", 61)) is None


def test_peaks_keep_the_prices_that_stops_follow_and_the_latest() -> None:
    ticks = [posted(str(price), number) for number, price in enumerate((104, 103, 102, 101), 1)]
    peaks = Peaks(TradeType.BUY, "a", ticks)

    peaks.keep({Decimal(103)}, after=posted("102", 3))

    assert peaks.quotes == (ticks[1], ticks[3])


def test_a_swing_is_the_worst_price_and_the_largest_fall() -> None:
    ticks = [posted(price, number) for number, price in enumerate(("90", "100", "95", "88"), 1)]

    assert Swing.of_ticks(TradeType.BUY, ticks) == Swing(Decimal(88), Decimal(12), Decimal(12))
    assert Swing.of_ticks(TradeType.SELL, ticks).worst == 100
    assert Swing.of_ticks(TradeType.SELL, ticks).rupees == 10


def test_a_book_returns_what_a_price_may_fire_until_it_is_removed() -> None:
    stops = {"near": trailing(distance="2"), "far": trailing(distance="9")}
    book = TrailingBook(1, [Follower(name, stop, None) for name, stop in stops.items()])
    book.follow(posted("110", 1))
    fall = Swing.of_ticks(TradeType.BUY, [posted("107.50", 2)])

    assert [follower.id for follower in book.near(fall)] == ["near"]
    assert [follower.best for follower in book.near(fall)] == [posted("110", 1)]
    book.remove({"near"})
    assert book.near(fall) == []
    assert len(book) == 1


def test_a_stop_that_a_step_keeps_loose_is_not_returned_at_each_price() -> None:
    book = TrailingBook(1, [Follower(1, trailing(distance="2", step="10"), None)])
    book.follow(posted("109", 1))
    for price in ("106", "100", "98.05"):
        assert book.near(Swing.of_ticks(TradeType.BUY, [posted(price, 2)])) == []
    assert len(book.near(Swing.of_ticks(TradeType.BUY, [posted("98", 3)]))) == 1
