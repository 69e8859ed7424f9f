"""What a market continues from after a restart: the state that the last run saved."""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import pymongo
from pymongo.errors import PyMongoError

from app.clock import Clock
from app.database import Document
from app.domain.quote import REAL_SOURCES, SeenQuote, Source
from app.logs import logger
from app.market_data import create_feed
from app.market_data.calendar import TradingCalendar
from app.market_data.corporate_actions import KnownActions
from app.market_data.feed import Feed
from app.market_data.feeds.course import Course
from app.market_data.feeds.followed import FollowedFeed
from app.market_data.feeds.scenarios import Scenario, ScenarioKind
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.feeds.simulated_hours import seconds_of
from app.market_data.instruments.registry import Instruments
from app.market_data.leader import Leader
from app.market_data.polled_symbols import PolledSymbols
from app.market_data.quotes import QuoteBoard
from app.market_data.shared_quotes import SharedQuotes
from app.market_data.tick_filter import DELAYS, Factors, TickFilter, no_factors
from app.models import MarketState, ShareLease, SymbolState
from config import Settings

READ_TIMEOUT_SECONDS = 2
# The model of the simulated market: prices of another one cannot be continued by its seed.
MODEL = 2


def resume_feed(
    settings: Settings,
    clock: Clock,
    instruments: Instruments,
    feed: Feed | None,
    calendar: TradingCalendar,
    *,
    store: bool,
    actions: KnownActions,
) -> Feed:
    """Return `feed`, or else the configured one as it continues.

    The new state is saved if `store`, unless a living worker polls the market.
    """
    store = store and not ShareLease.any_living()
    feed = feed or create_feed(
        settings,
        clock,
        instruments,
        calendar=calendar,
        last_prices=last_prices,
        last_quote=SymbolState.find_quote,
        resume_simulation=partial(resume_simulation, settings, clock, store=store),
        # Beside other processes, any of which may start a scenario.
        read_scenarios=None if settings.uses_embedded_database else read_scenarios,
        resume_replay=partial(resume_replay, settings, clock, store=store),
        actions=actions.of,
        factors=actions.factors_between,
    )
    if store and not isinstance(feed, SimulatedFeed):
        # The next simulated market begins at the prices of this feed.
        MarketState.forget_simulation()
    return feed


def follow_feed(settings: Settings, clock: Clock, leader: Leader) -> Feed:
    """Return the feed of a process that never polls."""
    live = "live" if settings.uses_real_prices else "simulated"
    name = "replay" if settings.market_data == "replay" else live
    if name != "replay":
        return FollowedFeed(name, clock, leader.request_quotes)
    return FollowedFeed(name, clock, leader.request_quotes, MarketState.replayed_to)


def resume_quotes(
    settings: Settings,
    clock: Clock,
    feed: Feed,
    calendar: TradingCalendar,
    polled_symbols: PolledSymbols,
    leader: Leader | None,
    factors: Factors = no_factors,
) -> QuoteBoard:
    """Return the quote board, with a tick filter that knows the last saved quotes.

    `factors` are those of corporate actions.
    """
    interval = settings.monitor_interval_seconds
    stored = partial(last_quotes, settings)

    def ask(symbols: Collection[str]) -> bool:
        if leader and leader.ask_quotes(symbols):
            return True
        polled_symbols.want(symbols)
        polled_symbols.announce(3 * interval)
        return False

    shared = SharedQuotes(
        clock,
        fresh_seconds=2 * interval,
        stored=stored,
        stored_ticks=SymbolState.find_ticks,
        newest=SymbolState.find_newest,
        ask=ask,
    )
    tick_filter = TickFilter(
        clock,
        max_age=timedelta(seconds=3 * interval),
        max_move=settings.max_quote_move,
        calendar=calendar,
        delays=DELAYS,
        factors=factors,
    )
    tick_filter.remember(SymbolState.load_quotes().values())
    return QuoteBoard(
        feed,
        clock,
        tick_filter,
        # During a slow pass, quotes of the pass before last are still served.
        fresh_seconds=2 * interval,
        stale_seconds=3 * interval,
        stored=stored,
        shared=shared,
    )


def last_prices() -> Mapping[str, Decimal]:
    """Return the last saved price of each symbol, in rupees."""
    return {symbol: quote.price for symbol, quote in SymbolState.load_quotes().items()}


def last_quotes(settings: Settings, symbols: Collection[str]) -> Mapping[str, SeenQuote]:
    """Return the last quotes of these symbols that any process saved.

    A server with real prices gets no others. Empty if the database is unavailable.
    """
    try:
        with pymongo.timeout(READ_TIMEOUT_SECONDS):
            quotes = SymbolState.find_quotes(symbols)
    except PyMongoError as error:
        logger.warning("quotes: the last ones could not be read: %s", type(error).__name__)
        return {}
    if not settings.uses_real_prices:
        return quotes
    allowed = {*REAL_SOURCES, *({Source.MOCK} if settings.market_data == "auto" else ())}
    return {symbol: seen for symbol, seen in quotes.items() if seen.quote.source in allowed}


def resume_simulation(settings: Settings, clock: Clock, *, store: bool) -> Course:
    """Return the course of the simulated market; save it if `store`.

    It is that of all processes and restarts. With another MARKET_SEED, other SIMULATED_HOURS or
    after another feed, a new market begins at the last prices.
    """
    document = MarketState.load_simulation()
    if document is None or not _is_of(document, settings):
        seed = settings.market_seed if settings.market_seed is not None else secrets.token_hex(8)
        course = Course(seed, seconds_of(clock.now()), last_prices())
        if not store:
            return course
        # Of several processes that start at once, one decides.
        document = MarketState.begin_simulation(_document(course, settings), document)
    if store and settings.simulated_scenario:
        store_scenario(ScenarioKind(settings.simulated_scenario), clock.now())
        document = MarketState.load_simulation() or document
    return _course(document)


def read_scenarios() -> tuple[Scenario, ...]:
    """Return the scenarios of the simulated market."""
    document = MarketState.load_simulation()
    return _course(document).scenarios if document else ()


def store_scenario(kind: ScenarioKind, time: datetime) -> Scenario | None:
    """Store a scenario from the next second after `time` on, None if another one is not over."""
    scenario = Scenario(kind, math.floor(seconds_of(time)) + 1)
    entry = {"kind": kind.value, "starts": scenario.starts}
    if MarketState.add_scenario(entry, scenario.starts, scenario.ends):
        return scenario
    return None


def resume_replay(
    settings: Settings, clock: Clock, fingerprint: str, last_time: datetime, *, store: bool
) -> datetime | None:
    """Return when the replay of a recording began; None if it begins now, which `store` saves."""
    now = clock.now() if store else None
    return MarketState.resume_replay(fingerprint, settings.replay_speed, last_time, now)


def _is_of(document: Document, settings: Settings) -> bool:
    """Return whether a stored market is the one that the settings ask for."""
    is_same = (document.get("model"), document.get("hours")) == (MODEL, settings.simulated_hours)
    return is_same and settings.market_seed in (None, document["market_seed"])


def _course(document: Document) -> Course:
    scenarios = (
        Scenario(ScenarioKind(entry["kind"]), entry["starts"]) for entry in document["scenarios"]
    )
    return Course(document["seed"], document["zero"], dict(document["starts"]), tuple(scenarios))


def _document(course: Course, settings: Settings) -> Document:
    return {
        "model": MODEL,
        "market_seed": settings.market_seed,
        "seed": course.seed,
        "hours": settings.simulated_hours,
        "zero": course.zero,
        "starts": [[symbol, price] for symbol, price in course.starts.items()],
        "scenarios": [],
        "busy_until": 0,
    }
