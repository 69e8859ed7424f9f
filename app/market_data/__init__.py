"""Where prices come from. `create_feed` chooses the feed that the configuration asks for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from app.clock import Clock
from app.market_data.feed import Feed
from app.market_data.instruments import load_instruments
from app.market_data.replay import RecordingError, ReplayFeed, fingerprint, read_recording
from app.market_data.simulated import SimulatedFeed
from config import ConfigurationError, Settings


class Memory(Protocol):
    """What a market remembers of the server's last run."""

    def last_prices(self) -> Mapping[str, Decimal]:
        """Return the last price of each symbol, in rupees."""

    def resume_replay(self, fingerprint: str, last_time: datetime) -> datetime | None:
        """Return when a recording that goes on began to be replayed; None for a new start."""


def create_feed(settings: Settings, clock: Clock, memory: Memory) -> Feed:
    """Return the feed of MARKET_DATA; raise ConfigurationError where it cannot be had."""
    instruments = load_instruments()
    choice = settings.market_data
    if choice == "auto":
        choice = "angel_one" if settings.has_angel_one_credentials else "simulated"
    if choice == "replay" and settings.replay_file is not None:
        try:
            ticks = read_recording(settings.replay_file, instruments)
        except RecordingError as error:
            raise ConfigurationError([f"REPLAY_FILE: {error}"]) from None
        last_time = max(tick.timestamp for tick in ticks)
        began_at = memory.resume_replay(fingerprint(ticks), last_time)
        return ReplayFeed(ticks, clock, speed=settings.replay_speed, began_at=began_at)
    if choice == "simulated":
        return SimulatedFeed(
            instruments,
            clock,
            seed=settings.market_seed,
            step_seconds=settings.monitor_interval_seconds,
            last_prices=memory.last_prices(),
        )
    raise ConfigurationError(
        [
            f"MARKET_DATA: the {choice} feed is not part of this release yet; "
            "choose simulated or replay"
        ]
    )
