"""Market data. `create_feed` builds the feed that the configuration names."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from app.clock import Clock
from app.domain.quote import Quote
from app.market_data.feed import Feed
from app.market_data.feeds.live import LiveFeed
from app.market_data.feeds.replay import RecordingError, ReplayFeed, fingerprint, read_recording
from app.market_data.feeds.simulated import Course, SimulatedFeed
from app.market_data.instruments.registry import Instruments, load_instruments
from app.market_data.providers.angel_one.session import AngelSession
from app.market_data.providers.angel_one.source import AngelOneSource
from app.market_data.providers.angel_one.stream import AngelStream
from app.market_data.providers.base import PriceSource
from app.market_data.providers.resilience import ResilientSource
from app.market_data.providers.yahoo import YahooSource
from config import ConfigurationError, Settings


class Memory(Protocol):
    """What the feeds remember of earlier runs."""

    def last_prices(self) -> Mapping[str, Decimal]:
        """Return the last price of each symbol, in rupees."""

    def last_quote(self, symbol: str) -> Quote | None:
        """Return the last quote of a symbol that any process saved."""

    def resume_replay(self, fingerprint: str, last_time: datetime) -> datetime | None:
        """Return when the replay of this recording began, or None if it starts now."""


def create_feed(
    settings: Settings,
    clock: Clock,
    memory: Memory,
    instruments: Instruments | None = None,
    *,
    resume: Callable[[], Course | None] = lambda: None,
) -> Feed:
    """Return the feed of MARKET_DATA; raise ConfigurationError if it is unusable.

    `resume` returns the course of the simulated market to continue. The default `instruments`
    are those that ship with the application.
    """
    instruments = instruments or load_instruments()
    if settings.uses_real_prices:
        return _live(settings, clock, memory, instruments)
    if settings.market_data == "replay":
        return _replay(settings, clock, memory, instruments)
    return _simulated(settings, clock, memory, instruments, resume())


def create_sources(settings: Settings, clock: Clock) -> list[PriceSource]:
    """Return the configured real sources, best first."""
    sources: list[PriceSource] = []
    if settings.market_data != "yahoo":
        sources.append(AngelOneSource(settings, clock, session=AngelSession(settings, clock)))
    if settings.market_data != "angel_one":
        sources.append(YahooSource(settings, clock))
    return sources


def _live(settings: Settings, clock: Clock, memory: Memory, instruments: Instruments) -> LiveFeed:
    interval = settings.monitor_interval_seconds
    sources = create_sources(settings, clock)
    # An operator who names one source wants its prices or none.
    simulated = settings.market_data == "auto"
    feed = LiveFeed(
        [ResilientSource(each, clock, probe_seconds=3 * interval) for each in sources],
        instruments,
        clock,
        interval_seconds=interval,
        fallback=_simulated(settings, clock, memory, instruments) if simulated else None,
        last_quote=memory.last_quote,
    )
    best = sources[0]
    if settings.market_stream and isinstance(best, AngelOneSource):
        feed.use_stream(
            AngelStream(settings.angel_stream_url, best.session, clock, on_ticks=feed.take_streamed)
        )
    return feed


def _simulated(
    settings: Settings,
    clock: Clock,
    memory: Memory,
    instruments: Instruments,
    course: Course | None = None,
) -> SimulatedFeed:
    return SimulatedFeed(
        instruments,
        clock,
        seed=settings.market_seed,
        step_seconds=settings.monitor_interval_seconds,
        last_prices=memory.last_prices(),
        course=course,
    )


def _replay(
    settings: Settings, clock: Clock, memory: Memory, instruments: Instruments
) -> ReplayFeed:
    assert settings.replay_file is not None, "load_settings requires it"
    with _without_garbage_collection():
        try:
            ticks = read_recording(settings.replay_file, instruments)
        except RecordingError as error:
            raise ConfigurationError([f"REPLAY_FILE: {error}"]) from None
        last_time = max(tick.timestamp for tick in ticks)
        began_at = memory.resume_replay(fingerprint(ticks), last_time)
        return ReplayFeed(
            ticks,
            clock,
            speed=settings.replay_speed,
            began_at=began_at,
            max_move=settings.max_quote_move,
        )


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Avoid useless collections while hundreds of thousands of permanent objects are created."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
