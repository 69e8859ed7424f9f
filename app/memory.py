"""The market's memory, kept in the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from app.clock import Clock
from app.models import MarketState, SymbolState
from config import Settings


class StoredMemory:
    """What `create_feed` asks for about the server's last run."""

    def __init__(self, settings: Settings, clock: Clock, *, notes: bool = True) -> None:
        """Remember the last run; without `notes`, leave nothing for the next one."""
        self._notes = notes
        self._settings = settings
        self._clock = clock

    def last_prices(self) -> Mapping[str, Decimal]:
        """Return the last price of each symbol, in rupees."""
        return {symbol: quote.price for symbol, quote in SymbolState.load_quotes().items()}

    def resume_replay(self, fingerprint: str, last_time: datetime) -> datetime | None:
        """Return when a recording that goes on began to be replayed; None for a new start."""
        return MarketState.resume_replay(
            fingerprint,
            self._settings.replay_speed,
            last_time,
            self._clock.now() if self._notes else None,
        )
