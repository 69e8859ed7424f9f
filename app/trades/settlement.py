"""Closing trades: by their user, or by a tick that reached their stop-loss or target.

Both go the same way: trades are closed in chunks, each one transaction that claims the trades,
releases their margin with the P&L, and writes their events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from app.database.transaction import is_conflict, is_outage, run_transaction
from app.domain.candle import Candle
from app.domain.exposure import Exposure
from app.domain.money import ZERO
from app.domain.quote import Quote
from app.logs import logger
from app.models import Closure, Notification, Portfolio, Settlement, Trade
from app.runtime import now
from app.signals import announce
from app.trades.events import trade_closed

# Trades closed in one transaction: enough to share its round trips, few enough that it ends
# well within its time and a conflict costs little.
CHUNK = 250
CandlesAfter = Callable[[str, datetime], Sequence[Candle]]


def settle_triggered(ticks: Sequence[Quote]) -> int:
    """Close every trade whose stop-loss or target one of `ticks` reached; return how many.

    A trade closes at the first tick, in their order, that reaches it. Raises PyMongoError
    where some could not be closed: the same ticks can then be settled again.
    """
    by_symbol: dict[str, list[tuple[int, Quote]]] = defaultdict(list)
    for position, tick in enumerate(ticks):
        by_symbol[tick.symbol].append((position, tick))
    triggered: list[tuple[int, Closure]] = []
    for symbol, its_ticks in by_symbol.items():
        prices = [tick.price for _, tick in its_ticks]
        for trade in Trade.find_triggered(symbol, min(prices), max(prices)):
            triggered += _first_trigger(trade, its_ticks)
    triggered.sort(key=lambda each: (each[0], each[1].trade.id))
    return _settle([closure for _, closure in triggered])


def settle_missed(symbols: Iterable[str], candles_after: CandlesAfter, since: datetime) -> int:
    """Close every trade whose stop-loss or target was reached after `since`; return how many.

    `candles_after` tells what a symbol did after a time, while nobody watched, in order. Raises
    PyMongoError where some could not be closed.
    """
    missed: list[tuple[datetime, Closure]] = []
    for symbol in symbols:
        candles = candles_after(symbol, since)
        lowest = min((candle.low for candle in candles), default=ZERO)
        highest = max((candle.high for candle in candles), default=ZERO)
        for trade in Trade.find_triggered(symbol, lowest, highest) if candles else ():
            # Of the candle in which the trade was opened, only what came after that counts.
            entered = trade.bracket.entry_timestamp
            its_candles = candles_after(symbol, entered) if entered > since else candles
            exits = (trade.bracket.triggered_in(candle) for candle in its_candles)
            exit = next((each for each in exits if each is not None), None)
            if exit is not None:
                missed.append((exit.quote.timestamp, Closure(trade, exit)))
    missed.sort(key=lambda each: (each[0], each[1].trade.id))
    return _settle([closure for _, closure in missed])


# What else is written in the transaction that closes some trades.
Also = Callable[[Sequence[Closure], ClientSession], None]


def close_trades(closures: Sequence[Closure], also: Also | None = None) -> list[Closure]:
    """Close those of the trades that are still active; return these.

    `also` writes more in the transaction of each chunk that closed any. Raises what kept a
    trade from being closed, after all that could be closed was.
    """
    outcome = _close_in_chunks(closures, also)
    if error := outcome.outage or outcome.fault:
        raise error
    return outcome.closed


@dataclass(slots=True)
class _Outcome:
    """What was closed, and what kept others open: a database away, or a fault of their own."""

    closed: list[Closure] = field(default_factory=list)
    outage: PyMongoError | None = None
    fault: Exception | None = None


def _settle(closures: Sequence[Closure]) -> int:
    """Close trades for their users; raise PyMongoError where the database was away."""
    outcome = _close_in_chunks(closures, None)
    if outcome.outage:
        raise outcome.outage
    return len(outcome.closed)


def _close_in_chunks(closures: Sequence[Closure], also: Also | None) -> _Outcome:
    outcome = _Outcome()
    pending = [closures[i : i + CHUNK] for i in range(0, len(closures), CHUNK)]
    while pending:
        chunk = pending.pop(0)
        try:
            outcome.closed += _close_chunk(chunk, also)
        except Exception as error:
            away = isinstance(error, PyMongoError) and is_outage(error)
            if len(chunk) > 1 and (not away or is_conflict(error)):
                # Whatever is wrong with one trade or its user must not keep the others open.
                middle = len(chunk) // 2
                pending[:0] = [chunk[:middle], chunk[middle:]]
            elif isinstance(error, PyMongoError) and away:
                outcome.outage = error
                logger.warning("could not close %d trades: %s", len(chunk), type(error).__name__)
            else:
                outcome.fault = error
                logger.exception("trade %s cannot be closed", chunk[0].trade.id)
    return outcome


def _first_trigger(trade: Trade, ticks: Iterable[tuple[int, Quote]]) -> list[tuple[int, Closure]]:
    for position, tick in ticks:
        exit = trade.bracket.triggered_by(tick)
        if exit is not None:
            return [(position, Closure(trade, exit))]
    return []


def _close_chunk(closures: Sequence[Closure], also: Also | None) -> list[Closure]:
    def close(session: ClientSession) -> tuple[list[Closure], list[Notification]]:
        active = Trade.find_still_active([each.trade.id for each in closures], session)
        claimed = [each for each in closures if each.trade.id in active]
        if not claimed:
            return [], []
        if also is not None:
            also(claimed, session)
        return claimed, _close(claimed, session)

    owners = {each.trade.user_id for each in closures}
    claimed, events = run_transaction(close, user_ids=owners)
    announce(events)
    return claimed


def _close(closures: Sequence[Closure], session: ClientSession) -> list[Notification]:
    time = now()
    settlements: dict[str, Settlement] = defaultdict(Settlement)
    for each in closures:
        settlements[each.trade.user_id].add(
            each.trade.symbol,
            Exposure.of(each.trade.bracket),
            each.trade.margin_used,
            each.exit.pnl,
        )
    closed = Trade.close_many(closures, time, session)
    settled = Portfolio.settle_many(settlements, time, session)
    if (closed, settled) != (len(closures), len(settlements)):
        # The snapshot showed each of them, so nothing of this transaction may stand.
        raise RuntimeError("a trade or portfolio vanished while it was being settled")
    drafts = [trade_closed(each.trade, each.exit) for each in closures]
    return Notification.create(drafts, time, session)
