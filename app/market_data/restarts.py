"""What a market continues from after a restart: the state that the last run saved."""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import pymongo
from pymongo.errors import PyMongoError

from app.clock import Clock
from app.database import Document
from app.domain.corporate_actions import CorporateAction
from app.domain.quote import REAL_SOURCES, Quote, SeenQuote, Source
from app.logs import logger
from app.market_data.calendar import TradingCalendar
from app.market_data.corporate_actions import KnownActions
from app.market_data.feed import Feed
from app.market_data.feeds.course import Course
from app.market_data.feeds.followed import FollowedFeed
from app.market_data.feeds.scenarios import Scenario, ScenarioKind
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.feeds.simulated_hours import seconds_of
from app.market_data.leader import Leader
from app.market_data.polled_symbols import PolledSymbols
from app.market_data.quotes import QuoteBoard
from app.market_data.saved_market import SavedMarket
from app.market_data.shared_quotes import SharedQuotes
from app.market_data.tick_filter import DELAYS, TickFilter
from app.models import MarketState, ShareLease, SymbolState
from app.models.stored_action import StoredAction
from config import Settings

READ_TIMEOUT_SECONDS = 2
# The model of the simulated market: prices of another one cannot be continued by its seed.
MODEL = 2


class StoredMarket(SavedMarket):
    """What the database has of a market."""

    def __init__(
        self, settings: Settings, clock: Clock, actions: KnownActions, *, store: bool
    ) -> None:
        """Store what begins now if `store`, unless a living worker polls the market."""
        self._settings = settings
        self._clock = clock
        self._actions = actions
        self._store = store and not ShareLease.any_living()
        if not settings.uses_embedded_database:
            self.read_scenarios = read_scenarios

    def last_prices(self) -> Mapping[str, Decimal]:
        return {symbol: quote.price for symbol, quote in SymbolState.load_quotes().items()}

    def last_quote(self, symbol: str) -> Quote | None:
        return SymbolState.find_quote(symbol)

    def last_quotes(self, symbols: Collection[str]) -> Mapping[str, SeenQuote]:
        """Return the last quotes of these symbols that any process saved.

        A server with real prices gets no others. Empty if the database is unavailable.
        """
        try:
            with pymongo.timeout(READ_TIMEOUT_SECONDS):
                quotes = SymbolState.find_quotes(symbols)
        except PyMongoError as error:
            logger.warning("quotes: the last ones could not be read: %s", type(error).__name__)
            return {}
        if not self._settings.uses_real_prices:
            return quotes
        simulated = {Source.MOCK} if self._settings.market_data == "auto" else set()
        allowed = {*REAL_SOURCES, *simulated}
        return {symbol: seen for symbol, seen in quotes.items() if seen.quote.source in allowed}

    def resume_simulation(self) -> Course:
        """Return the course of the simulated market.

        It is that of all processes and restarts. With another MARKET_SEED, other SIMULATED_HOURS or
        after another feed, a new market begins at the last prices.
        """
        settings, now = self._settings, self._clock.now()
        document = MarketState.load_simulation()
        if document is None or not _is_of(document, settings):
            seed = secrets.token_hex(8) if settings.market_seed is None else settings.market_seed
            course = Course(seed, seconds_of(now), self.last_prices())
            if not self._store:
                return course
            # Of several processes that start at once, one decides.
            document = MarketState.begin_simulation(_document(course, settings), document)
        if self._store and settings.simulated_scenario:
            store_scenario(ScenarioKind(settings.simulated_scenario), now)
            document = MarketState.load_simulation() or document
        return _course(document)

    def resume_replay(
        self, fingerprint: str, last_time: datetime, actions: Sequence[CorporateAction]
    ) -> datetime | None:
        """Return when the replay of a recording began; None if it begins now.

        One that begins comes to the ex-dates of all corporate actions, those that are recorded
        included.
        """
        now, speed = self._clock.now(), self._settings.replay_speed
        stored_now = now if self._store else None
        began_at = MarketState.resume_replay(fingerprint, speed, last_time, stored_now)
        if began_at is None and self._store:
            StoredAction.begin_replay(actions, now)
            self._actions.forget_applied()
            self._actions.refresh()
        return began_at

    def note_feed(self, feed: Feed) -> None:
        """Have the next simulated market begin at the prices of this feed, if it is another."""
        if self._store and not isinstance(feed, SimulatedFeed):
            MarketState.forget_simulation()

    def create_quotes(
        self,
        feed: Feed,
        calendar: TradingCalendar,
        actions: KnownActions,
        polled_symbols: PolledSymbols,
        leader: Leader | None,
    ) -> QuoteBoard:
        """Return a quote board that has the last quotes, and those of the processes that poll."""
        interval = self._settings.monitor_interval_seconds
        return QuoteBoard(
            feed,
            self._clock,
            self._filter(calendar, actions),
            # During a slow pass, quotes of the pass before last are still served.
            fresh_seconds=2 * interval,
            stale_seconds=3 * interval,
            stored=self.last_quotes,
            shared=self._shared(polled_symbols, leader),
        )

    def _filter(self, calendar: TradingCalendar, actions: KnownActions) -> TickFilter:
        """Return a tick filter that knows the last quotes."""
        tick_filter = TickFilter(
            self._clock,
            max_age=timedelta(seconds=3 * self._settings.monitor_interval_seconds),
            max_move=self._settings.max_quote_move,
            calendar=calendar,
            delays=DELAYS,
            factors=actions.factors_between,
        )
        tick_filter.remember(SymbolState.load_quotes().values())
        return tick_filter

    def _shared(self, polled_symbols: PolledSymbols, leader: Leader | None) -> SharedQuotes:
        """Return the quotes of the processes that poll; the `leader` asks these for newer ones."""
        interval = self._settings.monitor_interval_seconds
        return SharedQuotes(
            self._clock,
            fresh_seconds=2 * interval,
            stored=self.last_quotes,
            stored_ticks=SymbolState.find_ticks,
            newest=SymbolState.find_newest,
            ask=partial(_ask, leader, polled_symbols, 3 * interval),
        )


def follow_feed(settings: Settings, clock: Clock, leader: Leader) -> Feed:
    """Return the feed of a process that never polls."""
    live = "live" if settings.uses_real_prices else "simulated"
    name = "replay" if settings.market_data == "replay" else live
    if name != "replay":
        return FollowedFeed(name, clock, leader.request_quotes)
    return FollowedFeed(name, clock, leader.request_quotes, MarketState.replayed_to)


def _ask(
    leader: Leader | None,
    polled_symbols: PolledSymbols,
    seconds: float,
    symbols: Collection[str],
) -> bool:
    """Have newer quotes stored; return whether they are by now.

    If no process can be asked, those that poll find the symbols for `seconds`.
    """
    if leader and leader.ask_quotes(symbols):
        return True
    polled_symbols.want(symbols)
    polled_symbols.announce(seconds)
    return False


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
