"""The documents of the database and every query on them. Each method takes a session."""

from app.models.answer import Answer, RequestKey
from app.models.market_state import MarketState
from app.models.notification import EventDraft, Notification
from app.models.portfolio import Portfolio, Settlement
from app.models.symbol_state import SymbolState
from app.models.trade import Closure, Trade
from app.models.user import User

__all__ = [
    "Answer",
    "Closure",
    "EventDraft",
    "MarketState",
    "Notification",
    "Portfolio",
    "RequestKey",
    "Settlement",
    "SymbolState",
    "Trade",
    "User",
]
