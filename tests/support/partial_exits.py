"""Exits of parts, and entries that were not filled, in the books of a user."""

from __future__ import annotations

from bson import ObjectId
from flask import Flask

from app.domain.trade import TradeStatus, exit_by_user
from app.models import Portfolio, Trade, TradeChange
from app.services import now, services
from app.trades.execution import apply_batch
from tests.support.own_client import collection


def exit_part(app: Flask, user_id: str, trade_id: str, quantity: int) -> None:
    """Exit a part of the user's trade at the current price."""
    with app.app_context():
        trade = Trade.find_by_id(user_id, ObjectId(trade_id))
        assert trade is not None
        quote = services().quotes.require(trade.symbol)
        apply_batch([TradeChange(trade, exit_by_user(trade, quote, quantity=quantity))])


def insert_cancelled(app: Flask, user_id: str, symbol: str = "^NSEI") -> None:
    """Insert an entry of the user that was cancelled, as the newest trade."""
    with app.app_context():
        portfolio = Portfolio.find_by_user_id(user_id)
        assert portfolio is not None
        number = portfolio.trade_count + 1
        collection("portfolios").update_one(
            {"_id": portfolio.id}, {"$set": {"trade_count": number}}
        )
        collection("trades").insert_one(
            {
                "user_id": user_id,
                "portfolio_id": portfolio.id,
                "portfolio": portfolio.name,
                "number": number,
                "symbol": symbol,
                "trade_type": "BUY",
                "quantity": 1,
                "status": TradeStatus.CANCELLED.value,
                "waiting": False,
                "created_at": now(),
                "closed_at": now(),
                "end_reason": "user",
            }
        )
