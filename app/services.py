"""The parts of one application, other than its extensions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, cast

from flask import Flask, current_app

from app.clock import Clock
from app.concurrency import HashingPool
from app.market_data.auctions import ClosingAuctions
from app.market_data.calendar import TradingCalendar
from app.market_data.corporate_actions import KnownActions
from app.market_data.feed import Feed
from app.market_data.instruments.registry import Instruments
from app.market_data.movers import MoverBoard
from app.market_data.polled_symbols import PolledSymbols
from app.market_data.price_bounds import PriceBounds
from app.market_data.quotes import QuoteBoard
from app.market_data.shared_history import SharedHistory
from config import Settings

if TYPE_CHECKING:
    from app.models import CodePurpose, User

KEY = "paper_trading"


class Messenger(Protocol):
    """Sends codes. Services depend on this protocol, because delivery is a higher layer."""

    def send_code(self, user: User, channel: str, code: str, purpose: CodePurpose) -> None:
        """Send a code now; raise Conflict, RateLimited or Unavailable if that fails."""


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    clock: Clock
    feed: Feed
    quotes: QuoteBoard
    history: SharedHistory
    instruments: Instruments
    polled_symbols: PolledSymbols
    movers: MoverBoard
    bounds: PriceBounds
    calendar: TradingCalendar
    auctions: ClosingAuctions
    actions: KnownActions
    messenger: Messenger
    hashing: HashingPool


def init_app(app: Flask, services: Services) -> None:
    app.extensions[KEY] = services


def services() -> Services:
    """Return the parts of the current application."""
    return cast(Services, current_app.extensions[KEY])


def application() -> Flask:
    """Return the current application itself, for listeners and threads, not the proxy to it."""
    # mypy takes the proxy for a Flask, which has no such method.
    return cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]


def market_time() -> datetime:
    """Return the time at which market hours are checked, UTC: in a replay the recorded one."""
    return services().feed.market_time()


def now() -> datetime:
    """Return the time by the application's clock, UTC, in whole milliseconds."""
    return services().clock.now()
