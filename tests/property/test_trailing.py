"""Trailing stops: levels never loosen, and books and peaks agree with a plain model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.candle_exits import exit_in
from app.domain.fill import Exit, ExitReason
from app.domain.money import PAISA
from app.domain.peaks import Peaks
from app.domain.quote import Posting, Quote
from app.domain.side import TradeType
from app.domain.trailing import Start, Swing, TrailingStop, TrailingTerms, Unit
from app.domain.trailing_book import Follower, TrailingBook
from tests.property.strategies import sides
from tests.support.quotes import NOON, quote

walk_prices = st.integers(1_900, 2_100).map(lambda n: n * 5 * PAISA)
walks = st.lists(walk_prices, min_size=1, max_size=40)


def posted(walk: Sequence[Decimal]) -> list[Quote]:
    return [
        replace(
            quote(price, timestamp=NOON + timedelta(seconds=number)), posting=Posting("a", number)
        )
        for number, price in enumerate(walk, 1)
    ]


@st.composite
def stops(draw: st.DrawFn, side: TradeType, start: Quote) -> TrailingStop:
    """Draw the terms of a stop that begins at `start`."""
    unit = draw(st.sampled_from(Unit))
    hundredths = draw(st.integers(1, 100))
    distance = hundredths * 5 * PAISA if unit is Unit.RUPEES else hundredths * PAISA
    step = draw(st.sampled_from([1, 7, 20])) * 5 * PAISA
    set_at = Start(start.price, start.source, start.timestamp, start.posting)
    return TrailingStop(side, TrailingTerms(unit, distance, step, 5 * PAISA), set_at)


def bests(
    stop: TrailingStop, ticks: Sequence[Quote], best: Quote | None = None
) -> list[Quote | None]:
    """Return the best price after each tick, which was `best` before the first."""
    return [best := stop.after(best, tick) for tick in ticks]


def price_of(best: Quote | None, stop: TrailingStop) -> Decimal:
    return (best or stop.start).price


def is_fired(stop: TrailingStop, best: Quote | None, tick: Quote) -> bool:
    return (tick.price - stop.level(best)) * stop.trade_type.sign <= 0


def first_to_fire(stop: TrailingStop, best: Quote | None, ticks: Sequence[Quote]) -> Quote | None:
    before = [best, *bests(stop, ticks, best)]
    return next(
        (tick for b, tick in zip(before, ticks, strict=False) if is_fired(stop, b, tick)), None
    )


@given(sides, walks, st.data())
def test_a_level_never_loosens_and_lies_beyond_the_market(
    side: TradeType, walk: list[Decimal], data: st.DataObject
) -> None:
    ticks = posted(walk)
    stop = data.draw(stops(side, ticks[0]))
    levels = [stop.level(best) for best in bests(stop, ticks)]

    assert levels == sorted(levels, reverse=side is TradeType.SELL)
    for level, best in zip(levels, bests(stop, ticks), strict=True):
        assert (price_of(best, stop) - level) * side.sign > 0
        assert level % stop.terms.tick_size == 0


@given(sides, walks)
def test_peaks_know_the_best_price_after_each_tick(side: TradeType, walk: list[Decimal]) -> None:
    ticks = posted(walk)
    peaks = Peaks(side, "a")
    for tick in ticks:
        peaks.add(tick)

    for number, start in enumerate(ticks, 1):
        later = [tick.price for tick in ticks[number:]]
        best = peaks.best_since(start)
        assert (best and best.price) == (
            (max if side is TradeType.BUY else min)(later) if later else None
        )


@given(sides, walks, st.data())
def test_a_book_returns_every_stop_that_ticks_fire(
    side: TradeType, walk: list[Decimal], data: st.DataObject
) -> None:
    """However the ticks are divided into batches."""
    ticks, seen = posted(walk), 0
    drawn = [data.draw(stops(side, quote(data.draw(walk_prices)))) for _ in range(4)]
    book = TrailingBook(side.sign, [Follower(n, stop, None) for n, stop in enumerate(drawn)])
    waiting: dict[int, Quote | None] = dict.fromkeys(range(len(drawn)))
    while seen < len(ticks):
        batch = ticks[seen : seen + data.draw(st.integers(1, 5))]
        seen += len(batch)
        near = {each.id: each for each in book.near(Swing.of_ticks(side, batch))}
        after = {}
        for n, best in waiting.items():
            fired_by = first_to_fire(drawn[n], best, batch)
            if fired_by is None:
                after[n] = bests(drawn[n], batch, best)[-1]
            else:
                # With the best price from before the batch.
                assert price_of(near[n].best, drawn[n]) == price_of(best, drawn[n])
        book.remove(waiting.keys() - after.keys())
        for tick in batch:
            book.follow(tick)
        waiting = after
        assert len(book) == len(waiting)


@given(sides, walks, st.data())
def test_a_book_returns_nothing_else_at_single_ticks(
    side: TradeType, walk: list[Decimal], data: st.DataObject
) -> None:
    ticks = posted(walk)
    drawn = [data.draw(stops(side, ticks[0])) for _ in range(3)]
    book = TrailingBook(side.sign, [Follower(n, stop, None) for n, stop in enumerate(drawn)])
    bests_of: dict[int, Quote | None] = dict.fromkeys(range(len(drawn)))

    for tick in ticks[1:]:
        expected = {
            n for n, stop in enumerate(drawn) if n in bests_of and is_fired(stop, bests_of[n], tick)
        }
        assert {each.id for each in book.near(Swing.of_ticks(side, [tick]))} == expected
        book.remove(expected)
        book.follow(tick)
        bests_of = {
            n: drawn[n].after(best, tick) for n, best in bests_of.items() if n not in expected
        }


@st.composite
def trailed_brackets(draw: st.DrawFn, side: TradeType, entry: Quote) -> Bracket:
    """Draw a bracket with a trailing stop, and perhaps a stop-loss and a target."""
    prices = walk_prices.filter(lambda price: price != entry.price)
    below = draw(st.none() | prices.filter(lambda price: price < entry.price))
    above = draw(st.none() | prices.filter(lambda price: price > entry.price))
    stop, target = (below, above) if side is TradeType.BUY else (above, below)
    trailing = draw(stops(side, entry)).terms
    return Bracket.open(side, 3, entry, stop_loss=stop, target_price=target, trailing=trailing)


def exit_by_ticks(bracket: Bracket, ticks: Sequence[Quote]) -> Exit | None:
    stop, best = bracket.trailing_stop, None
    assert stop is not None
    for tick in ticks:
        if exit := bracket.triggered_by(tick, best=best):
            return exit
        best = stop.after(best, tick)
    return None


def exit_by_candles(bracket: Bracket, candles: Sequence[Candle]) -> Exit | None:
    stop, best = bracket.trailing_stop, None
    assert stop is not None
    for candle in candles:
        if exit := exit_in(candle, bracket, best):
            return exit
        best = stop.after_candle(best, candle)
    return None


@given(sides, walk_prices, walks, st.data())
def test_candles_of_one_tick_each_close_a_trade_as_the_ticks_do(
    side: TradeType, entry: Decimal, walk: list[Decimal], data: st.DataObject
) -> None:
    bracket = data.draw(trailed_brackets(side, quote(entry)))
    ticks = posted(walk)
    by_ticks = exit_by_ticks(bracket, ticks)
    by_candles = exit_by_candles(bracket, [Candle.of([tick]) for tick in ticks])

    assert (by_ticks is None) is (by_candles is None)
    if by_ticks and by_candles:
        assert replace(by_candles, rule=by_ticks.rule, settled_from=None) == by_ticks


@given(sides, walk_prices, walks, st.data())
def test_a_trade_closes_at_the_first_tick_at_or_beyond_its_tighter_stop(
    side: TradeType, entry: Decimal, walk: list[Decimal], data: st.DataObject
) -> None:
    bracket = data.draw(trailed_brackets(side, quote(entry)))
    bracket = replace(bracket, target_price=None)
    stop = bracket.trailing_stop
    assert stop is not None
    exit = exit_by_ticks(bracket, posted(walk))
    best = entry
    for price in walk:
        level = stop.terms.level(side, entry, best)
        fixed = bracket.stop_loss
        if fixed is not None and (fixed - level) * side.sign >= 0:
            level, reason = fixed, ExitReason.STOP_LOSS
        else:
            reason = ExitReason.TRAILING_STOP
        if (price - level) * side.sign <= 0:
            assert exit is not None
            assert (exit.price, exit.reason) == (price, reason)
            return
        best = max(best, price) if side is TradeType.BUY else min(best, price)
    assert exit is None


@given(sides, walk_prices, st.lists(walks, min_size=1, max_size=5), st.data())
def test_candles_close_a_trade_at_a_price_within_the_candle_that_its_ticks_reach(
    side: TradeType, entry: Decimal, groups: list[list[Decimal]], data: st.DataObject
) -> None:
    bracket = data.draw(trailed_brackets(side, quote(entry)))
    ticks = posted([price for group in groups for price in group])
    candles = []
    for group in groups:
        its_ticks, ticks = ticks[: len(group)], ticks[len(group) :]
        candles.append(Candle.of(its_ticks))
    exit = exit_by_candles(bracket, candles)

    if exit is not None:
        (candle,) = [each for each in candles if each.time == exit.quote.timestamp]
        # A target exits at its own price, also if the candle opened beyond it.
        price = exit.quote.price if exit.reason is ExitReason.TARGET else exit.price
        assert candle.low <= price <= candle.high
