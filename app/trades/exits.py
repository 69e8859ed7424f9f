"""Exiting trades because their user says so."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from bson import ObjectId
from bson.errors import InvalidId
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from app.database import Document
from app.domain.bracket import Exit, ExitReason, TradeStatus
from app.domain.errors import MarketDataUnavailable, NotFound, TradeNotActive
from app.domain.money import ZERO
from app.models import Answer, Closure, RequestKey, Trade
from app.runtime import now, runtime
from app.trades.settlement import close_trades


def exit_trade(user_id: str, trade_id: str, key: RequestKey | None = None) -> Exit:
    """Close the user's trade at the latest quote; for a retry of `key`, return its exit again.

    Raises NotFound for an unknown trade or another user's, TradeNotActive for one that was
    closed before, Conflict for a key of another request, MarketClosed outside market hours,
    MarketDataUnavailable.
    """
    if not (exit := _exited_earlier(user_id, trade_id, key)):
        trade = _own_trade(user_id, trade_id)
        if trade.status is TradeStatus.ACTIVE:
            runtime().hours.require_trading(now())
            closure = _exit_now(trade)
            if _close(closure, key):
                return closure.exit
            trade = _own_trade(user_id, trade_id)
        # Closed meanwhile: by this very request at the same time, or by something else.
        exit = _exited_earlier(user_id, trade_id, key)
        if exit is None:
            raise TradeNotActive(trade.status.value, trade.exit.pnl if trade.exit else None)
    return exit


def exit_all(user_id: str, key: RequestKey | None = None) -> tuple[int, Decimal]:
    """Close all the user's active trades; return how many and their P&L in rupees.

    With a `key` they are those that were active when it came first, and a retry goes on where
    that one was interrupted. Raises MarketDataUnavailable, before any is closed, where one of
    them has no price; MarketClosed outside market hours; Conflict for a key of another request.
    """
    if key is None:
        runtime().hours.require_trading(now())
        closed = close_trades([_exit_now(each) for each in Trade.find_active_by_user_id(user_id)])
        return len(closed), _total_pnl(closed)
    answer = Answer.find(key) or _begin_exit_all(user_id, key)
    if not answer["done"]:
        _go_on_exiting(key, answer["trade_ids"])
        answer = Answer.find(key) or answer
    return answer["count"], answer["total_pnl"]


def _exited_earlier(user_id: str, trade_id: str, key: RequestKey | None) -> Exit | None:
    if key is None or Answer.find(key) is None:
        return None
    return _own_trade(user_id, trade_id).exit


def _close(closure: Closure, key: RequestKey | None) -> bool:
    def remember(claimed: Sequence[Closure], session: ClientSession) -> None:
        if key:
            Answer.save(key, {"trade_id": closure.trade.id}, now(), session)

    try:
        return bool(close_trades([closure], remember))
    except DuplicateKeyError:
        # The key was used at the same time: by this request, which then closed the trade, or
        # by another, which finding the answer will say.
        return False


def _begin_exit_all(user_id: str, key: RequestKey) -> Document:
    runtime().hours.require_trading(now())
    active = Trade.find_active_by_user_id(user_id)
    answer = {
        "trade_ids": [each.id for each in active],
        "count": 0,
        "total_pnl": ZERO,
        "done": False,
    }
    try:
        Answer.save(key, answer, now())
    except DuplicateKeyError:
        return Answer.find(key) or answer
    return answer


def _go_on_exiting(key: RequestKey, trade_ids: list[ObjectId]) -> None:
    def count(claimed: Sequence[Closure], session: ClientSession) -> None:
        Answer.add(key, {"count": len(claimed), "total_pnl": _total_pnl(claimed)}, session)

    if active := Trade.find_active(trade_ids):
        # The first try was interrupted: what it left open waits for the next opening as well.
        runtime().hours.require_trading(now())
        close_trades([_exit_now(each) for each in active], count)
    Answer.finish(key)


def _total_pnl(closures: Sequence[Closure]) -> Decimal:
    return sum((each.exit.pnl for each in closures), ZERO)


def _exit_now(trade: Trade) -> Closure:
    quote = runtime().quotes.latest(trade.symbol)
    if not trade.bracket.may_exit_at(quote):
        raise MarketDataUnavailable(
            f"{trade.symbol} has no live price right now, and a trade opened at a live price "
            "is not closed at a simulated one. Try again shortly."
        )
    return Closure(trade, trade.bracket.exit_at(quote, ExitReason.USER))


def _own_trade(user_id: str, trade_id: str) -> Trade:
    try:
        trade = Trade.find_by_id(ObjectId(trade_id))
    except InvalidId:
        trade = None
    if trade is None or trade.user_id != user_id:
        raise NotFound("You have no trade with this id.", code="trade_not_found")
    return trade
