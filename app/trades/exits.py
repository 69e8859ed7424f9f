"""Exits that a user asks for: one trade, or all of them.

A trade exits at the last traded price, however old. If no source has a price, as of a share that
was delisted, the last known price serves once a trading day has passed, if the user asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import inf

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.database.batches import ClaimLost, all_written, write_in_batches
from app.domain.errors import (
    LastPriceTooEarly,
    MarketDataUnavailable,
    PaperTradingError,
    ResultUnconfirmed,
    TradeNotActive,
)
from app.domain.fill import Exit
from app.domain.money import ZERO
from app.domain.portfolio import DEFAULT_NAME
from app.domain.quote import Quote, SeenQuote
from app.domain.trade import TradeStatus, exit_by_user
from app.domain.triggers import SettledFrom
from app.models import IdempotencyKey, IdempotencyRecord, SymbolState, Trade, TradeChange
from app.portfolio.service import find_portfolio
from app.services import now, services
from app.trades.execution import apply_batch, name_change
from app.trades.service import get_trade


@dataclass(frozen=True, slots=True)
class ExitedAll:
    """The number of exited trades, their P&L in rupees, and the trades that could not exit."""

    count: int
    total_pnl: Decimal
    not_exited: list[Document]


def exit_trade(
    user_id: str, trade_id: str, key: IdempotencyKey | None = None, *, at_last_price: bool = False
) -> Exit:
    """Close the user's trade at the last traded price; for a retry of `key`, return its exit again.

    With `at_last_price`, a share without a price for a trading day exits at the last known one.
    Raises NotFound for an unknown trade or another user's, TradeNotActive for a closed one,
    Conflict for a key of another request, MarketClosed outside market hours,
    MarketDataUnavailable, LastPriceTooEarly.
    """
    if not (exit := _exited_earlier(user_id, trade_id, key)):
        trade = get_trade(user_id, trade_id)
        if trade.status is TradeStatus.ACTIVE:
            services().calendar.require_trading(now())
            quotes = services().quotes.confirmed([trade.symbol])
            priced = _price(trade, quotes.get(trade.symbol), at_last_price)
            if priced.exit and _close(priced, key):
                return priced.exit
            trade = get_trade(user_id, trade_id)
        # It was closed meanwhile, by this request at the same time or by something else.
        exit = _exited_earlier(user_id, trade_id, key)
        if exit is None and trade.status is TradeStatus.ACTIVE:
            raise ResultUnconfirmed
        if exit is None:
            raise TradeNotActive(trade.status.value, trade.pnl)
    return exit


def exit_all(
    user_id: str,
    key: IdempotencyKey | None = None,
    *,
    portfolio: str = DEFAULT_NAME,
    at_last_price: bool = False,
) -> ExitedAll:
    """Close those of a portfolio's active trades that have a price; return the others as well.

    With a `key` they are the trades that were active at its first request, and a retry continues
    an interrupted one. `at_last_price` is as in `exit_trade`. Raises MarketClosed outside market
    hours, NotFound for an unknown portfolio, Conflict for a key of another request.
    """
    if key is None:
        services().calendar.require_trading(now())
        exits, others = _price_all(_find_active(user_id, portfolio), at_last_price)
        closed = _write(exits, apply_batch)
        return ExitedAll(len(closed), _total_pnl(closed), others)
    record = IdempotencyRecord.find(key) or _begin_exit_all(user_id, portfolio, key)
    if not record["done"]:
        _continue_exiting(key, record["trade_ids"], at_last_price)
        record = IdempotencyRecord.find(key) or record
    return ExitedAll(record["count"], record["total_pnl"], record.get("not_exited", []))


def _exited_earlier(user_id: str, trade_id: str, key: IdempotencyKey | None) -> Exit | None:
    if key is None or IdempotencyRecord.find(key) is None:
        return None
    return get_trade(user_id, trade_id).exit


def _close(exit: TradeChange, key: IdempotencyKey | None) -> bool:
    """Close one trade, and record it under `key`; return whether it was still active."""

    def record(time: datetime) -> None:
        if key:
            IdempotencyRecord.save(key, {"trade_id": exit.trade.id}, time)

    try:
        apply_batch([exit], record)
    except (ClaimLost, DuplicateKeyError):
        # A concurrent request closed it or used the key; the record of the key tells which.
        return False
    return True


def _find_active(user_id: str, name: str) -> list[Trade]:
    portfolio = find_portfolio(user_id, name)
    return Trade.find_active_by_user_id(user_id, portfolio.id) if portfolio else []


def _begin_exit_all(user_id: str, portfolio: str, key: IdempotencyKey) -> Document:
    services().calendar.require_trading(now())
    record = {
        "trade_ids": [trade.id for trade in _find_active(user_id, portfolio)],
        "count": 0,
        "total_pnl": ZERO,
        "done": False,
    }
    try:
        IdempotencyRecord.save(key, record, now())
    except DuplicateKeyError:
        if earlier := IdempotencyRecord.find(key):
            return earlier
        raise ResultUnconfirmed from None
    return record


def _continue_exiting(key: IdempotencyKey, trade_ids: list[ObjectId], at_last_price: bool) -> None:
    def close_and_count(exits: Sequence[TradeChange]) -> None:
        amounts = {"count": len(exits), "total_pnl": _total_pnl(exits)}
        apply_batch(exits, lambda _: IdempotencyRecord.add(key, amounts))

    others: list[Document] = []
    if active := Trade.find_active(key.user_id, trade_ids):
        # The rest of an interrupted request waits for the next opening as well.
        services().calendar.require_trading(now())
        exits, others = _price_all(active, at_last_price)
        _write(exits, close_and_count)
    IdempotencyRecord.finish(key, {"not_exited": others})


def _write(
    exits: Sequence[TradeChange], write: Callable[[Sequence[TradeChange]], object]
) -> list[TradeChange]:
    """Have `write` write exits of one user in batches; raise the first error."""
    # A conflict costs no other user, so each batch is retried as long as any transaction.
    return all_written(write_in_batches(exits, write, name_change, conflict_seconds=inf))


def _total_pnl(exits: Sequence[TradeChange]) -> Decimal:
    return sum((item.exit.pnl for item in exits if item.exit), ZERO)


def _price_all(
    trades: Sequence[Trade], at_last_price: bool
) -> tuple[list[TradeChange], list[Document]]:
    """Return the exits of the trades that have a price, and why the others have none."""
    quotes = services().quotes.confirmed({trade.symbol for trade in trades})
    exits: list[TradeChange] = []
    others: list[Document] = []
    for trade in trades:
        try:
            exits.append(_price(trade, quotes.get(trade.symbol), at_last_price))
        except PaperTradingError as error:
            others.append({"trade_id": str(trade.id), "symbol": trade.symbol, "code": error.code})
    return exits, others


def _price(trade: Trade, quote: Quote | None, at_last_price: bool) -> TradeChange:
    """Return the exit at `quote`; MarketDataUnavailable or LastPriceTooEarly if there is none."""
    if quote and trade.entered.may_exit_at(quote):
        return TradeChange(trade, exit_by_user(trade, quote))
    last = _last_seen(trade)
    if not at_last_price:
        raise _no_price(trade, last, has_simulated_price=quote is not None)
    time = now()
    if not services().calendar.is_trading_day_ago(last.seen_at, time):
        raise LastPriceTooEarly(trade.symbol, last.quote.price, last.seen_at)
    return TradeChange(trade, exit_by_user(trade, last.quote, SettledFrom.LAST_PRICE))


def _last_seen(trade: Trade) -> SeenQuote:
    """Return the last quote that may close the trade; its entry if nothing newer is known."""
    bracket = trade.entered
    entry = Quote(trade.symbol, bracket.entry_price, bracket.entry_source, bracket.entry_timestamp)
    # max() takes the first of several that were seen at the same time.
    known = [
        services().quotes.known([trade.symbol]).get(trade.symbol),
        SymbolState.find_real_quote(trade.symbol),
        SeenQuote(entry, trade.created_at),
    ]
    usable = [seen for seen in known if seen and bracket.may_exit_at(seen.quote)]
    return max(usable, key=lambda seen: seen.seen_at)


def _no_price(trade: Trade, last: SeenQuote, *, has_simulated_price: bool) -> MarketDataUnavailable:
    reason = (
        "no live price right now, and a trade opened at a live price is not closed at a simulated "
        "one"
        if has_simulated_price
        else "no price right now"
    )
    return MarketDataUnavailable(
        f"{trade.symbol} has {reason}. Try again shortly. Once no source has had a price for a "
        'trading day, send {"at_last_price": true} to exit at the last known one.',
        details={
            "symbol": trade.symbol,
            "last_price": last.quote.price,
            "price_time": last.quote.timestamp,
        },
    )
