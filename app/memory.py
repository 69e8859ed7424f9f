"""The market's memory, kept in the database."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal

import pymongo
from pymongo.errors import PyMongoError

from app.clock import Clock
from app.database import Document
from app.domain.quote import REAL_SOURCES, Quote, SeenQuote, Source
from app.logs import logger
from app.market_data.feeds.price_path import Run, seconds_of
from app.market_data.feeds.simulated import Course, SimulatedFeed
from app.market_data.instruments.registry import Listing
from app.models import InstrumentList, MarketState, SymbolState
from config import Settings

# A request that names an unknown symbol waits so long, at most, to be told that there is no
# newer list; where there is one it waits for that.
LOOK_SECONDS = 2
LOAD_SECONDS = 30
# A simulated market that has taken more steps (two months at 10 s), or was started more often,
# begins again from its last prices: at a start each symbol takes all its steps once more.
MAX_STEPS = 500_000
MAX_RUNS = 1_000


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

    def last_quote(self, symbol: str) -> Quote | None:
        """Return the last quote of a symbol that any process kept."""
        return SymbolState.find_quote(symbol)

    def last_quotes(self, symbols: Collection[str]) -> Mapping[str, SeenQuote]:
        """Return the last quotes of these symbols that any process kept.

        A server with real prices has no use for others. Empty while the database is away.
        """
        try:
            with pymongo.timeout(LOOK_SECONDS):
                found = SymbolState.find_quotes(symbols)
        except PyMongoError as error:
            logger.warning("quotes: the last ones could not be read: %s", type(error).__name__)
            return {}
        if not self._settings.uses_real_prices:
            return found
        allowed = {*REAL_SOURCES, *({Source.MOCK} if self._settings.market_data == "auto" else ())}
        return {symbol: each for symbol, each in found.items() if each.quote.source in allowed}

    def resume_simulation(self) -> Course:
        """Return the course of the simulated market, from now on.

        It continues where it stopped, unless MARKET_SEED is another: then a new market begins,
        at the last prices.
        """
        now = seconds_of(self._clock.now())
        pace = self._settings.monitor_interval_seconds
        given = self._settings.market_seed
        document = MarketState.load_simulation()
        if document and given in (None, document["market_seed"]):
            course = _continued(document, now, pace)
        else:
            seed = given if given is not None else secrets.token_hex(8)
            course = Course(seed, now, self.last_prices())
        if len(course.runs) > MAX_RUNS or course.first_step > MAX_STEPS:
            course = Course(course.seed, now, self.last_prices())
        if self._notes:
            MarketState.save_simulation(_document(course, given, pace))
        return course

    def end_simulation(self) -> None:
        """Forget the course of a simulated market: another feed is used now."""
        if self._notes:
            MarketState.forget_simulation()

    def resume_replay(self, fingerprint: str, last_time: datetime) -> datetime | None:
        """Return when a recording that goes on began to be replayed; None for a new start."""
        return MarketState.resume_replay(
            fingerprint,
            self._settings.replay_speed,
            last_time,
            self._clock.now() if self._notes else None,
        )


def _continued(document: Document, now: float, pace: float) -> Course:
    runs = [Run(*each) for each in document["runs"]]
    first_step = runs[-1].last_step if runs else 0
    zero, former_pace = document["zero"], document["step_seconds"]
    stopped = MarketState.load_progress(SimulatedFeed.name)
    # Without a pass nothing moved.
    time = seconds_of(stopped) if stopped else zero
    last = Run(zero, former_pace, max(round((time - zero) / former_pace), first_step))
    return Course(
        document["seed"],
        now - last.last_step * pace,
        dict(document["starts"]),
        (*runs, last),
    )


def _document(course: Course, market_seed: str | None, pace: float) -> Document:
    return {
        "market_seed": market_seed,
        "seed": course.seed,
        "starts": [[symbol, price] for symbol, price in course.starts.items()],
        "runs": [[each.zero, each.step_seconds, each.last_step] for each in course.runs],
        "zero": course.zero,
        "step_seconds": pace,
    }


class StoredListing:
    """What `load_instruments` asks for the list of the last sync."""

    def load(self, known: object) -> Listing | None:
        """Return the current list; None where it is the `known` one, or cannot be had now."""
        try:
            with pymongo.timeout(LOOK_SECONDS):
                if InstrumentList.generation_in_use() in (None, known):
                    return None
            with pymongo.timeout(LOAD_SECONDS):
                stored = InstrumentList.load(known)
        except (PyMongoError, LookupError) as error:
            logger.warning("instruments: the list could not be read: %s", type(error).__name__)
            return None
        return Listing(stored.generation, stored.instruments) if stored else None
