"""The parts of an application, put together."""

from __future__ import annotations

from app.clock import Clock, SystemClock
from app.concurrency import HashingPool
from app.delivery.codes import CodeMessenger
from app.market_data import create_feed
from app.market_data.auctions import ClosingAuctions
from app.market_data.calendar import TradingCalendar
from app.market_data.candle_cache import CandleHistory
from app.market_data.corporate_actions import load_actions
from app.market_data.feed import Feed
from app.market_data.instruments.registry import load_instruments
from app.market_data.instruments.sync import read_list
from app.market_data.leader import Leader
from app.market_data.movers import MoverBoard
from app.market_data.polled_symbols import PolledSymbols
from app.market_data.price_bounds import PriceBounds
from app.market_data.restarts import StoredMarket, follow_feed
from app.market_data.shared_history import SharedHistory
from app.services import Services
from config import Settings


def assemble_services(
    settings: Settings,
    feed: Feed | None = None,
    clock: Clock | None = None,
    *,
    store: bool = True,
    polls: bool = True,
) -> Services:
    """Make the parts of an application whose database is bound, as `create_app` does."""
    clock = clock or SystemClock()
    instruments = load_instruments(read_list, clock)
    leader = Leader(settings.redis_url) if settings.redis_url else None
    calendar = TradingCalendar(enforced=settings.enforces_market_hours)
    actions = load_actions(clock, settings.market)
    saved = StoredMarket(settings, clock, actions, store=store and polls)
    if leader and not polls:
        feed = follow_feed(settings, clock, leader)
    feed = feed or create_feed(settings, clock, instruments, calendar, saved, actions)
    saved.note_feed(feed)
    polled_symbols = PolledSymbols()
    quotes = saved.create_quotes(feed, calendar, actions, polled_symbols, leader)
    quotes.is_polled = lambda _symbol: polls
    interval = settings.monitor_interval_seconds
    candles = CandleHistory(feed, clock, fresh_seconds=min(interval, 5))
    return Services(
        settings=settings,
        clock=clock,
        feed=feed,
        quotes=quotes,
        history=SharedHistory(candles, quotes, leader),
        instruments=instruments,
        messenger=CodeMessenger(settings, clock),
        hashing=HashingPool(),
        polled_symbols=polled_symbols,
        movers=MoverBoard(quotes, polled_symbols, instruments, clock, interval_seconds=interval),
        bounds=PriceBounds(clock),
        calendar=calendar,
        auctions=ClosingAuctions(calendar, instruments),
        actions=actions,
    )
