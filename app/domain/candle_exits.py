"""The exits that candles cause: a candle holds several prices, whose order is unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from app.domain.bracket import Bracket
from app.domain.candle import Candle
from app.domain.fill import Exit, ExitReason, FillRule
from app.domain.quote import Quote
from app.domain.side import TradeType
from app.domain.trailing import TrailingStop
from app.domain.triggers import SettledFrom


def exit_in(
    candle: Candle,
    bracket: Bracket,
    best: Quote | None = None,
    settled_to: datetime | None = None,
) -> Exit | None:
    """Return the exit of a bracket that a price in `candle` caused, None if none did.

    If the candle opened beyond a level, the open counts as a tick. If it reached a level
    later, the exit is at the level. If it holds both levels, their order is unknown, and the
    stop-loss counts. A candle that began before the entry, or before its levels were
    modified, is ignored: its prices may be older. A trailing stop follows the open first, and
    the best price of the candle last: it then fires if the candle closed beyond it. Of a candle
    that began before `settled_to`, up to when it has followed ticks, only the close counts.
    `best` is as in `Bracket.triggered_by`.
    """
    since = bracket.levels_since
    if candle.time < bracket.entry_timestamp or (since and candle.time < since.timestamp):
        return None
    is_entry = candle.time == bracket.entry_timestamp and (
        bracket.entry_settled_from is SettledFrom.GAP
    )
    if candle.in_auction:
        return None if is_entry else bracket.triggered_by(candle.opening, SettledFrom.GAP, best)
    if is_entry:
        return _exit_after_entry(candle, bracket)
    if settled_to is not None and candle.time < settled_to and bracket.trailing is not None:
        return _exit_in_rest(candle, bracket, best, settled_to)
    opening = bracket.triggered_by(candle.opening, SettledFrom.GAP, best)
    return opening or _exit_after_open(candle, bracket, best)


def _exit_after_open(candle: Candle, bracket: Bracket, best: Quote | None) -> Exit | None:
    trailing = bracket.trailing_stop
    best = trailing.after(best, candle.opening) if trailing else None
    furthest = candle.high if bracket.trade_type is TradeType.BUY else candle.low
    for level in (bracket.stop_after(best), bracket.target_price):
        if (
            level is not None
            and candle.low <= level <= candle.high
            and (exit := _exit_at_level(candle, bracket, level, best, furthest))
        ):
            return exit
    return _trailed_at_close(candle, bracket, trailing, best) if trailing else None


def _exit_in_rest(
    candle: Candle, bracket: Bracket, best: Quote | None, settled_to: datetime
) -> Exit | None:
    """Return the exit in a candle of which the trailing stop has followed the beginning."""
    fixed = exit_in(candle, replace(bracket, trailing=None))
    if fixed is not None or candle.closing.timestamp <= settled_to:
        return fixed
    return bracket.triggered_by(candle.closing, SettledFrom.GAP, best)


def _trailed_at_close(
    candle: Candle, bracket: Bracket, trailing: TrailingStop, best: Quote | None
) -> Exit | None:
    """Return the exit if the candle closed beyond the stop after its best price."""
    best = trailing.after_candle(best, candle)
    level = bracket.stop_after(best)
    if level is None or not bracket.is_reached(level, candle.close, losing=True):
        return None
    return _exit_at_level(candle, bracket, level, best)


def _exit_after_entry(candle: Candle, bracket: Bracket) -> Exit | None:
    """Return the exit in the candle that holds the entry, if it surely came after the entry.

    A level counts if the price can reach it only through the entry price, or if the candle
    closed beyond it.
    """
    at_open = _entered_at_open(candle, bracket)
    worst, best = candle.low, candle.high
    if bracket.trade_type is TradeType.SELL:
        worst, best = best, worst
    rests = bracket.entry_rule is FillRule.LIMIT
    stop_side = worst if at_open or rests else candle.close
    target_side = best if at_open or not rests else candle.close
    for level, price, losing in (
        (bracket.stop_after(), stop_side, True),
        (bracket.target_price, target_side, False),
    ):
        has_moved = not at_open or price != candle.open
        if level is not None and has_moved and bracket.is_reached(level, price, losing=losing):
            was_beyond = at_open and bracket.is_reached(level, candle.open, losing=losing)
            reached = candle.open if was_beyond else level
            if exit := _exit_at_level(candle, bracket, reached, furthest=price):
                return exit
    return None


def _entered_at_open(candle: Candle, bracket: Bracket) -> bool:
    if bracket.entry_rule is FillRule.LIMIT:
        return (candle.open - bracket.entry_price) * bracket.trade_type.sign <= 0
    return bracket.entry_rule is not FillRule.CANDLE


def _exit_at_level(
    candle: Candle,
    bracket: Bracket,
    level: Decimal,
    best: Quote | None = None,
    furthest: Decimal | None = None,
) -> Exit | None:
    """Return the exit at a level that the candle reached, and went beyond to `furthest`."""
    quote = candle.quote_at(level)
    exit = bracket.triggered_by(quote, SettledFrom.GAP, best, furthest=furthest)
    if exit is None or exit.reason is ExitReason.TARGET:
        return exit
    return replace(exit, rule=FillRule.CANDLE)
