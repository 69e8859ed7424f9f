"""Where prices come from. `create_feed` chooses the feed that the configuration asks for."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from app.clock import Clock
from app.market_data.feed import Feed
from app.market_data.instruments import load_instruments
from app.market_data.replay import RecordingError, ReplayFeed, read_recording
from app.market_data.simulated import SimulatedFeed
from config import ConfigurationError, Settings


def create_feed(
    settings: Settings, clock: Clock, last_prices: Mapping[str, Decimal] | None = None
) -> Feed:
    """Return the feed of MARKET_DATA; raise ConfigurationError where it cannot be had.

    `last_prices` (rupees by symbol) is where a simulated market without a seed continues.
    """
    instruments = load_instruments()
    choice = settings.market_data
    if choice == "auto":
        choice = "angel_one" if settings.has_angel_one_credentials else "simulated"
    if choice == "replay" and settings.replay_file is not None:
        try:
            ticks = read_recording(settings.replay_file, instruments)
        except RecordingError as error:
            raise ConfigurationError([f"REPLAY_FILE: {error}"]) from None
        return ReplayFeed(ticks, clock, speed=settings.replay_speed)
    if choice == "simulated":
        return SimulatedFeed(
            instruments,
            clock,
            seed=settings.market_seed,
            step_seconds=settings.monitor_interval_seconds,
            last_prices=last_prices,
        )
    raise ConfigurationError(
        [
            f"MARKET_DATA: the {choice} feed is not part of this release yet; "
            "choose simulated or replay"
        ]
    )
