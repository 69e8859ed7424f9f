"""Resetting a portfolio: everything is closed, and the next season begins.

Closing the trades and beginning the season are one transaction. If more trades are open than a
transaction should close, the oldest are closed before it, as ordinary exits. An interrupted reset
then leaves a portfolio of the same season with fewer open trades, and repeating it completes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.database.batches import ClaimLost, all_written, batch_size
from app.database.transactions import run_transaction
from app.domain.errors import (
    AccountGone,
    MarketDataUnavailable,
    ResetMeanwhile,
    ResultUnconfirmed,
    ServerBusy,
)
from app.domain.portfolio import DEFAULT_NAME
from app.domain.quote import Quote
from app.domain.trade import EndReason, TradeStatus, Transition, end_entry, exit_by_user
from app.events import publish_events, record_events
from app.models import (
    IdempotencyKey,
    IdempotencyRecord,
    Movement,
    Notification,
    Portfolio,
    PortfolioDelta,
    Season,
    Trade,
    TradeChange,
    apply_changes,
)
from app.models.open_trades import find_open
from app.portfolio.events import portfolio_reset
from app.portfolio.service import get_portfolio
from app.services import market_time, now, services
from app.trades.events import trade_changed
from app.trades.execution import add_change, apply_transitions

# A trade that opens without a quote, or closes elsewhere, in the middle of a reset repeats it.
MAX_ATTEMPTS = 10

Quotes = Mapping[str, Quote]


@dataclass(frozen=True, slots=True)
class Reset:
    """A reset: the movement that begins the season, the season that ended, and what it closed.

    `exited` and `cancelled` count the trades that this request closed.
    """

    movement: Movement
    ended: Season
    exited: int
    cancelled: int


def reset_portfolio(
    user_id: str,
    initial_margin: Decimal | None = None,
    name: str = DEFAULT_NAME,
    key: IdempotencyKey | None = None,
) -> Reset:
    """Close every trade of a portfolio and begin its next season; for a retry, return the first.

    Active trades exit at the last traded price, and entries that wait are cancelled. Without
    `initial_margin` the season begins with that of the last one. Raises NotFound for an unknown
    portfolio, MarketClosed and MarketDataUnavailable if a trade cannot exit, ResetMeanwhile if
    another request was first, Conflict for a key of another request.
    """
    if earlier := _reset_earlier(key):
        return earlier
    portfolio = get_portfolio(user_id, name)
    closed: list[TradeChange] = []
    for _ in range(MAX_ATTEMPTS):
        trades = find_open(user_id, portfolio.id)
        quotes = _require_quotes(trades)
        surplus = _endings(trades[: -batch_size()], quotes)
        closed += all_written(apply_transitions(surplus))
        try:
            return _end_season(portfolio, quotes, closed, initial_margin, key)
        except ClaimLost:
            continue
    raise ServerBusy("The trades of this portfolio keep changing. Try again shortly.")


def _end_season(
    portfolio: Portfolio,
    quotes: Quotes,
    closed: Sequence[TradeChange],
    initial_margin: Decimal | None,
    key: IdempotencyKey | None,
) -> Reset:
    """Close the trades that are left, begin the next season, and publish the events.

    Raises ClaimLost if a trade cannot be closed at `quotes`.
    """
    try:
        reset, events = run_transaction(
            lambda: _write_season(portfolio, quotes, closed, initial_margin, key),
            already_committed=lambda done: (
                Movement.find_by_id(portfolio.user_id, done[0].movement.id) is not None
            ),
            user_ids=[portfolio.user_id],
        )
    except DuplicateKeyError:
        # Another process handled the same request at the same time.
        if earlier := _reset_earlier(key):
            return earlier
        raise ResultUnconfirmed from None
    publish_events(events)
    return reset


def _write_season(
    portfolio: Portfolio,
    quotes: Quotes,
    closed: Sequence[TradeChange],
    initial_margin: Decimal | None,
    key: IdempotencyKey | None,
) -> tuple[Reset, list[Notification]]:
    if earlier := _reset_earlier(key):
        return earlier, []
    time = now()
    current = get_portfolio(portfolio.user_id, portfolio.name)
    if current.season != portfolio.season:
        raise ResetMeanwhile(current.name, current.season)
    changes = _close_rest(current, quotes, time)
    settled = get_portfolio(portfolio.user_id, portfolio.name)
    ended, movement = settled.begin_season(initial_margin or settled.initial_margin, time)
    reset = _counted(movement, ended, [*closed, *changes])
    if key:
        IdempotencyRecord.save(key, _to_record(reset), time)
    event = portfolio_reset(movement, portfolio.name, ended, reset.exited, reset.cancelled)
    return reset, record_events([*map(trade_changed, changes), event], time)


def _close_rest(portfolio: Portfolio, quotes: Quotes, time: datetime) -> list[TradeChange]:
    """Close the open trades as they are in this transaction; return how each was closed."""
    trades = find_open(portfolio.user_id, portfolio.id)
    if len(trades) > batch_size() * 3 // 2:
        # With its events it would write more than the 1,000 documents that MongoDB advises.
        raise ClaimLost
    changes = _endings(trades, quotes)
    if not changes:
        return []
    if apply_changes(changes, time) < len(changes):
        raise ClaimLost
    delta = PortfolioDelta(portfolio.user_id)
    for change in changes:
        add_change(delta, change)
    Portfolio.settle_many({portfolio.id: delta}, time)
    return changes


def _endings(trades: Sequence[Trade], quotes: Quotes) -> list[TradeChange]:
    """Return the end of each trade; raise ClaimLost for one that `quotes` cannot close."""
    return [TradeChange(trade, _ending(trade, quotes)) for trade in trades]


def _ending(trade: Trade, quotes: Quotes) -> Transition:
    if trade.status is TradeStatus.PENDING:
        return end_entry(trade, EndReason.PORTFOLIO_RESET)
    quote = quotes.get(trade.symbol)
    if quote is None or not trade.entered.may_exit_at(quote):
        raise ClaimLost
    if not services().actions.has_same_units(trade, quote.timestamp):
        raise ClaimLost
    return exit_by_user(trade, quote)


def _require_quotes(trades: Sequence[Trade]) -> Quotes:
    """Return the last traded prices; raise MarketClosed or MarketDataUnavailable without one."""
    active = [trade for trade in trades if trade.status is TradeStatus.ACTIVE]
    if not active:
        return {}
    time = market_time()
    services().calendar.require_trading(time)
    for symbol in sorted({trade.symbol for trade in active}):
        services().auctions.require_continuous(symbol, time)
    quotes = services().quotes.confirmed({trade.symbol for trade in active})
    unpriced = {
        trade.symbol
        for trade in active
        if trade.symbol not in quotes or not trade.entered.may_exit_at(quotes[trade.symbol])
    }
    if unpriced:
        raise MarketDataUnavailable(
            f"No source has a price of {', '.join(sorted(unpriced))} now, so the trades there "
            "cannot be closed. Try again, or exit them with at_last_price first.",
            details={"symbols": sorted(unpriced)},
        )
    for trade in active:
        services().actions.require_same_units(trade, quotes[trade.symbol])
    return quotes


def _counted(movement: Movement, ended: Season, changes: Sequence[TradeChange]) -> Reset:
    exited = sum(change.exit is not None for change in changes)
    return Reset(movement, ended, exited, len(changes) - exited)


def _to_record(reset: Reset) -> Document:
    return {
        "movement_id": reset.movement.id,
        "ended": reset.ended.to_document(),
        "exited": reset.exited,
        "cancelled": reset.cancelled,
    }


def _reset_earlier(key: IdempotencyKey | None) -> Reset | None:
    """Return the result of an earlier try of this request."""
    record = IdempotencyRecord.find(key) if key else None
    if key is None or record is None:
        return None
    movement = Movement.find_by_id(key.user_id, record["movement_id"])
    if movement is None:
        # The account is being deleted.
        raise AccountGone
    ended = Season.from_document(record["ended"])
    return Reset(movement, ended, record["exited"], record["cancelled"])
