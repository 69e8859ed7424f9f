"""Market data. `create_feed` builds the feed that the configuration names."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from app.clock import Clock
from app.market_data.calendar import TradingCalendar
from app.market_data.corporate_actions import KnownActions
from app.market_data.feed import Feed
from app.market_data.feeds.live import LiveFeed
from app.market_data.feeds.recording import RecordingError, read_recording
from app.market_data.feeds.replay import ReplayFeed, fingerprint
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.feeds.simulated_hours import ALWAYS, SimulatedHours, exchange_hours
from app.market_data.instruments.registry import Instruments, load_instruments
from app.market_data.providers.angel_one.session import AngelSession
from app.market_data.providers.angel_one.snap_quote import SNAP_QUOTE_MODE
from app.market_data.providers.angel_one.source import AngelOneSource
from app.market_data.providers.angel_one.stream import AngelStream
from app.market_data.providers.angel_one.subscriptions import LTP_MODE
from app.market_data.providers.base import PriceSource
from app.market_data.providers.resilience import ResilientSource
from app.market_data.providers.yahoo import YahooSource
from app.market_data.saved_market import SavedMarket
from config import ConfigurationError, Settings


def create_feed(
    settings: Settings,
    clock: Clock,
    instruments: Instruments | None = None,
    calendar: TradingCalendar | None = None,
    saved: SavedMarket | None = None,
    actions: KnownActions | None = None,
) -> Feed:
    """Return the feed of MARKET_DATA; raise ConfigurationError if it cannot be made.

    The `calendar` is that of the exchange hours of a simulated market. `saved` is what the market
    continues from, by default nothing. The simulated market follows the corporate `actions`, and
    recorded prices are divided by them.
    """
    instruments = instruments or load_instruments()
    saved = saved or SavedMarket()
    actions = actions or KnownActions(clock, settings.market)
    if settings.market_data == "replay":
        return _replay(settings, clock, instruments, saved, actions)
    if not settings.uses_real_prices:
        return SimulatedFeed(
            instruments,
            clock,
            course=saved.resume_simulation(),
            seed=settings.market_seed,
            last_prices=saved.last_prices(),
            hours=_hours(settings, calendar),
            read_scenarios=saved.read_scenarios,
            actions=actions.of,
        )
    if settings.market_data != "auto":
        # An operator who names one source wants its prices or none.
        return _live(settings, clock, instruments, saved)
    seed, prices, hours = settings.market_seed, saved.last_prices(), _hours(settings, calendar)
    fallback = SimulatedFeed(instruments, clock, seed=seed, last_prices=prices, hours=hours)
    return _live(settings, clock, instruments, saved, fallback)


def create_sources(settings: Settings, clock: Clock) -> list[PriceSource]:
    """Return the configured real sources, best first."""
    sources: list[PriceSource] = []
    if settings.market_data != "yahoo":
        sources.append(AngelOneSource(settings, clock, session=AngelSession(settings, clock)))
    if settings.market_data != "angel_one":
        sources.append(YahooSource(settings, clock))
    return sources


def _live(
    settings: Settings,
    clock: Clock,
    instruments: Instruments,
    saved: SavedMarket,
    fallback: SimulatedFeed | None = None,
) -> LiveFeed:
    interval = settings.monitor_interval_seconds
    sources = create_sources(settings, clock)
    feed = LiveFeed(
        [ResilientSource(source, clock, probe_seconds=3 * interval) for source in sources],
        instruments,
        clock,
        interval_seconds=interval,
        fallback=fallback,
        last_quote=saved.last_quote,
    )
    best = sources[0]
    if settings.market_stream and isinstance(best, AngelOneSource):
        url, session = settings.angel_stream_url, best.session
        mode = SNAP_QUOTE_MODE if settings.market_stream_mode == "snap_quote" else LTP_MODE
        feed.stream = AngelStream(url, session, clock, on_ticks=feed.receive, mode=mode)
    return feed


def _hours(settings: Settings, calendar: TradingCalendar | None) -> SimulatedHours:
    if settings.simulated_hours == "always":
        return ALWAYS
    return exchange_hours(calendar or TradingCalendar())


def _replay(
    settings: Settings,
    clock: Clock,
    instruments: Instruments,
    saved: SavedMarket,
    actions: KnownActions,
) -> ReplayFeed:
    assert settings.replay_file is not None, "load_settings requires it"
    with _without_garbage_collection():
        try:
            recorded = read_recording(settings.replay_file, instruments)
        except RecordingError as error:
            raise ConfigurationError([f"REPLAY_FILE: {error}"]) from None
        ticks = recorded.ticks
        last_time = max(tick.timestamp for tick in ticks)
        return ReplayFeed(
            ticks,
            clock,
            speed=settings.replay_speed,
            began_at=saved.resume_replay(fingerprint(ticks), last_time, recorded.actions),
            max_move=settings.max_quote_move,
            factors=actions.factors_between,
            idle_seconds=3 * settings.monitor_interval_seconds,
        )


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Pause garbage collection, which would walk hundreds of thousands of lasting objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
