"""What a market continues from after a restart: the state that the last run saved."""

from __future__ import annotations

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
from app.market_data.feed import Feed
from app.market_data.feeds.followed import FollowedFeed
from app.market_data.feeds.price_path import Run, seconds_of
from app.market_data.feeds.simulated import Course, SimulatedFeed
from app.market_data.instruments.registry import Instruments
from app.market_data.leader import Leader
from app.market_data.polled_symbols import PolledSymbols
from app.market_data.quotes import QuoteBoard
from app.market_data.shared_quotes import SharedQuotes
from app.market_data.tick_filter import DELAYS, TickFilter
from app.models import MarketState, ShareLease, SymbolState
from config import Settings

READ_TIMEOUT_SECONDS = 2
# A course with more steps (two months at 10 s) or more runs ends, and the next begins at its last
# prices: at a start, each symbol repeats all its steps.
MAX_STEPS = 500_000
MAX_RUNS = 1_000


def resume_feed(
    settings: Settings, clock: Clock, instruments: Instruments, feed: Feed | None, *, store: bool
) -> Feed:
    """Return `feed`, or else the configured one as it continues.

    The new state is saved if `store`, unless a living worker polls the market.
    """
    store = store and not ShareLease.any_living()
    feed = feed or create_feed(
        settings,
        clock,
        instruments,
        last_prices=last_prices,
        last_quote=SymbolState.find_quote,
        resume_simulation=partial(resume_simulation, settings, clock, store=store),
        resume_replay=partial(resume_replay, settings, clock, store=store),
    )
    if store and not isinstance(feed, SimulatedFeed):
        # The next simulated market begins at the prices of this feed.
        MarketState.forget_simulation()
    return feed


def follow_feed(settings: Settings, clock: Clock, leader: Leader) -> Feed:
    """Return the feed of a process that never polls."""
    live = "live" if settings.uses_real_prices else "simulated"
    name = "replay" if settings.market_data == "replay" else live
    return FollowedFeed(name, clock, leader.request_quotes)


def resume_quotes(
    settings: Settings,
    clock: Clock,
    feed: Feed,
    calendar: TradingCalendar,
    polled_symbols: PolledSymbols,
    leader: Leader | None,
) -> QuoteBoard:
    """Return the quote board, with a tick filter that knows the last saved quotes."""
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
    """Return the course of the simulated market from now on; save it if `store`.

    While a worker lives, the market continues in this process as in that one, otherwise where it
    stopped. With another MARKET_SEED a new market begins at the last prices.
    """
    now = seconds_of(clock.now())
    step_seconds = settings.monitor_interval_seconds
    document = MarketState.load_simulation()
    if document and settings.market_seed in (None, document["market_seed"]):
        if document["step_seconds"] == step_seconds and _is_moving(document, now):
            return _joined(document, now)
        course = _continued(document, now, step_seconds)
    else:
        seed = settings.market_seed if settings.market_seed is not None else secrets.token_hex(8)
        course = Course(seed, now, last_prices())
    if len(course.runs) > MAX_RUNS or course.first_step > MAX_STEPS:
        course = Course(course.seed, now, last_prices())
    if not store:
        return course
    stored = _document(course, settings.market_seed, step_seconds)
    if document is None:
        # Of several processes that start at once on a new database, one decides.
        return _joined(MarketState.begin_simulation(stored), now)
    MarketState.save_simulation(stored)
    return course


def resume_replay(
    settings: Settings, clock: Clock, fingerprint: str, last_time: datetime, *, store: bool
) -> datetime | None:
    """Return when the replay of a recording began; None if it begins now, which `store` saves."""
    now = clock.now() if store else None
    return MarketState.resume_replay(fingerprint, settings.replay_speed, last_time, now)


def _is_moving(document: Document, now: float) -> bool:
    """Return whether other processes are on this course.

    One that has begun it less than a step ago may have no lease yet.
    """
    return 0 <= now - _began_at(document) < document["step_seconds"] or ShareLease.any_living()


def _began_at(document: Document) -> float:
    """Return when the current run began, in seconds."""
    first_step = document["runs"][-1][-1] if document["runs"] else 0
    began_at: float = document["zero"] + first_step * document["step_seconds"]
    return began_at


def _joined(document: Document, now: float) -> Course:
    """Return the course that other processes are on."""
    return Course(
        document["seed"],
        document["zero"],
        dict(document["starts"]),
        tuple(Run(*run) for run in document["runs"]),
        elapsed=max(now - _began_at(document), 0.0),
    )


def _continued(document: Document, now: float, step_seconds: float) -> Course:
    runs = [Run(*run) for run in document["runs"]]
    first_step = runs[-1].last_step if runs else 0
    zero, former_step_seconds = document["zero"], document["step_seconds"]
    stopped = max(MarketState.load_progress(SimulatedFeed.name).values(), default=None)
    # Without a pass of the monitor, no price moved.
    time = seconds_of(stopped) if stopped else zero
    last_step = max(round((time - zero) / former_step_seconds), first_step)
    last = Run(zero, former_step_seconds, last_step)
    return Course(
        document["seed"], now - last_step * step_seconds, dict(document["starts"]), (*runs, last)
    )


def _document(course: Course, market_seed: str | None, step_seconds: float) -> Document:
    return {
        "market_seed": market_seed,
        "seed": course.seed,
        "starts": [[symbol, price] for symbol, price in course.starts.items()],
        "runs": [[run.zero, run.step_seconds, run.last_step] for run in course.runs],
        "zero": course.zero,
        "step_seconds": step_seconds,
    }
