"""What one running application is made of, besides its extensions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, cast

from flask import Flask, current_app

from app.clock import Clock
from app.market_data.feed import Feed
from app.market_data.history import CandleHistory
from app.market_data.hours import TradingHours
from app.market_data.instruments import Instruments
from app.market_data.quotes import QuoteBoard
from app.market_data.watchlist import Watchlist
from config import Settings

if TYPE_CHECKING:
    from app.models import User

KEY = "paper_trading"


class Messenger(Protocol):
    """The way out for what is no event: delivery is above the services that need it."""

    def send_code(self, user: User, channel: str, code: str) -> None:
        """Send a code at once; raise Conflict, RateLimited or Unavailable if it did not go out."""


@dataclass(frozen=True, slots=True)
class Runtime:
    settings: Settings
    clock: Clock
    feed: Feed
    quotes: QuoteBoard
    history: CandleHistory
    instruments: Instruments
    watchlist: Watchlist
    hours: TradingHours
    messenger: Messenger


def init_app(app: Flask, runtime: Runtime) -> None:
    app.extensions[KEY] = runtime


def runtime() -> Runtime:
    """Return the parts of the current application."""
    return cast(Runtime, current_app.extensions[KEY])


def now() -> datetime:
    """Return the time by the application's clock, UTC, in whole milliseconds."""
    return runtime().clock.now()
