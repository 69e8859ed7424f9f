"""The paper trading backend: a Flask application made of blueprints over MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.clock import Clock
    from app.market_data.feed import Feed
    from app.services import Services
    from config import Settings
    from embedded_db.disk import Disk


def create_app(
    settings: Settings | None = None,
    *,
    mongo_uri: str | None = None,
    feed: Feed | None = None,
    clock: Clock | None = None,
    disk: Disk | None = None,
    for_command: bool = False,
) -> Flask:
    """Make the application, without starting anything: `app.server` runs its workers.

    `mongo_uri`, `feed` and `clock` replace those of the settings. Requests that write are refused
    while the `disk` is full. With `for_command`, nothing about the start is stored, so that a
    running server is not disturbed. Raises ConfigurationError, PyMongoError.
    """
    # Imported here, because `run.py` imports modules of this package before it makes the standard
    # library cooperative, and others while the database starts.
    from flask import Flask

    from app import auth, cli, database, market, notifications, portfolio, realtime, trades
    from app import services as parts
    from app.database import transactions
    from app.database.indexes import create_indexes
    from app.database.migrations import migrate
    from app.extensions import jwt
    from app.web import auth as tokens
    from app.web import cors, docs_page, errors, front, health, openapi, rate_limits, request_log
    from app.web import storage as disk_guard
    from config import load_settings

    settings = settings or load_settings()
    # Without a static folder: a missing file would be a 404 that no rate limit counts.
    app = Flask("app", static_folder=None)
    # Flask would redirect to the host that the request names.
    app.url_map.merge_slashes = False
    app.config.update(
        SECRET_KEY=settings.secret_key.get_secret_value(),
        JWT_SECRET_KEY=settings.jwt_secret_key.get_secret_value(),
        TESTING=settings.app_env == "testing",
    )
    request_log.init_app(app)
    tokens.init_app(app)
    errors.init_app(app)
    database.init_app(app, mongo_uri or settings.mongo_uri)
    transactions.init_app(app)
    with app.app_context():
        migrate(for_command=for_command)
    create_indexes()
    parts.init_app(app, _assemble(settings, feed, clock, for_command=for_command))
    jwt.init_app(app)
    rate_limits.init_app(app, settings)
    cors.init_app(app, settings)
    realtime.init_app(app, settings)
    for package in (auth, portfolio, market, trades, notifications):
        app.register_blueprint(package.blueprint)
    health.init_app(app)
    disk_guard.init_app(app, disk)
    openapi.init_app(app)
    docs_page.init_app(app)
    cli.init_app(app)
    front.init_app(app, settings)
    return app


def _assemble(
    settings: Settings, feed: Feed | None, clock: Clock | None, *, for_command: bool
) -> Services:
    from datetime import timedelta
    from functools import partial

    from app.clock import SystemClock
    from app.concurrency import HashingPool
    from app.delivery.codes import CodeMessenger
    from app.market_data import create_feed, restarts
    from app.market_data.calendar import TradingCalendar
    from app.market_data.candle_cache import CandleHistory
    from app.market_data.feeds.simulated import SimulatedFeed
    from app.market_data.instruments.registry import load_instruments
    from app.market_data.instruments.sync import read_list
    from app.market_data.polled_symbols import PolledSymbols
    from app.market_data.quotes import QuoteBoard
    from app.market_data.tick_filter import DELAYS, TickFilter
    from app.models import MarketState, SymbolState
    from app.services import Services

    clock = clock or SystemClock()
    instruments = load_instruments(read_list, clock)
    store = not for_command
    feed = feed or create_feed(
        settings,
        clock,
        instruments,
        last_prices=restarts.last_prices,
        last_quote=SymbolState.find_quote,
        resume_simulation=partial(restarts.resume_simulation, settings, clock, store=store),
        resume_replay=partial(restarts.resume_replay, settings, clock, store=store),
    )
    if store and not isinstance(feed, SimulatedFeed):
        # The next simulated market begins at the prices of this feed.
        MarketState.forget_simulation()
    interval = settings.monitor_interval_seconds
    calendar = TradingCalendar(enforced=settings.enforces_market_hours)
    tick_filter = TickFilter(
        clock,
        max_age=timedelta(seconds=3 * interval),
        max_move=settings.max_quote_move,
        calendar=calendar,
        delays=DELAYS,
    )
    tick_filter.remember(SymbolState.load_quotes().values())
    return Services(
        settings=settings,
        clock=clock,
        feed=feed,
        quotes=QuoteBoard(
            feed,
            clock,
            tick_filter,
            # During a slow pass, quotes of the pass before last are still served.
            fresh_seconds=2 * interval,
            stale_seconds=3 * interval,
            stored=partial(restarts.last_quotes, settings),
        ),
        history=CandleHistory(feed, clock, fresh_seconds=min(interval, 5)),
        instruments=instruments,
        messenger=CodeMessenger(settings, clock),
        hashing=HashingPool(),
        polled_symbols=PolledSymbols(),
        calendar=calendar,
    )
