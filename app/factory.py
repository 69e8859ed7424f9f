"""The application as a table of contents: what it is made of, in the order it is bound."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app import (
    auth,
    cli,
    cors,
    database,
    docs_page,
    front,
    logs,
    market,
    notifications,
    portfolio,
    realtime,
    services,
    storage,
    trades,
)
from app.clock import Clock, SystemClock
from app.configuration.data_folder import Disk
from app.database import transactions
from app.database.indexes import create_indexes
from app.database.migrations import migrate
from app.delivery.codes import CodeMessenger
from app.extensions import jwt
from app.market_data import create_feed
from app.market_data.calendar import TradingCalendar
from app.market_data.candle_cache import CandleHistory
from app.market_data.feed import Feed
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.instruments.registry import Instruments, load_instruments
from app.market_data.polled_symbols import PolledSymbols
from app.market_data.quotes import QuoteBoard
from app.market_data.tick_filter import DELAYS, TickFilter
from app.memory import StoredListing, StoredMemory
from app.models import SymbolState
from app.web import auth as identity
from app.web import errors, health, openapi
from app.web import rate_limits as limits
from config import Settings, load_settings

BLUEPRINTS = (
    auth.blueprint,
    portfolio.blueprint,
    market.blueprint,
    trades.blueprint,
    notifications.blueprint,
)


class PaperTradingApp(Flask):
    """Flask that takes an address with a slash at its end for the one without."""

    def wsgi_app(self, environ: Any, start_response: Any) -> Any:
        # Without a redirect: a client would send its POST again as a GET.
        environ["PATH_INFO"] = environ.get("PATH_INFO", "").removesuffix("/") or "/"
        return super().wsgi_app(environ, start_response)


def create_app(
    settings: Settings | None = None,
    *,
    mongo_uri: str | None = None,
    feed: Feed | None = None,
    clock: Clock | None = None,
    disk: Disk | None = None,
    for_command: bool = False,
) -> Flask:
    """Make the application. It starts nothing: `run.py` runs the database and the monitor.

    `mongo_uri` is the database's, where it is not the one in `settings`. A `feed` and a `clock`
    take the place of the configured ones. Requests that write are refused while the `disk` is
    full. One made `for_command` notes nothing of its start, so that a server beside it is not
    disturbed. Raises ConfigurationError, PyMongoError.
    """
    settings = settings or load_settings()
    # Without files to serve: a missing one would be a 404 that no limit counts.
    app = PaperTradingApp("app", static_folder=None)
    # Flask would redirect to the host that the request names.
    app.url_map.merge_slashes = False
    _configure(app, settings)
    logs.init_app(app)
    identity.init_app(app)
    errors.init_app(app)
    database.init_app(app, mongo_uri or settings.mongo_uri)
    transactions.init_app(app)
    with app.app_context():
        migrate(for_command=for_command)
    create_indexes()
    clock = clock or SystemClock()
    instruments = load_instruments(StoredListing(), clock)
    memory = StoredMemory(settings, clock, notes=not for_command)
    feed = feed or create_feed(
        settings, clock, memory, instruments, resume=memory.resume_simulation
    )
    if not isinstance(feed, SimulatedFeed):
        memory.end_simulation()
    services.init_app(app, _assemble(settings, feed, clock, instruments, memory))
    jwt.init_app(app)
    limits.init_app(app, settings)
    cors.init_app(app, settings)
    realtime.init_app(app, settings)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    health.init_app(app)
    storage.init_app(app, disk)
    openapi.init_app(app)
    docs_page.init_app(app)
    cli.init_app(app)
    front.init_app(app, settings)
    _trust_proxies(app, settings.trusted_proxies)
    return app


def _trust_proxies(app: Flask, hops: int) -> None:
    if hops:
        # Last, so that it is outermost: sockets need the client's scheme and address as well.
        # Flask's own documentation wraps it so; mypy takes it for assigning to a method.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]


def _configure(app: Flask, settings: Settings) -> None:
    app.config.update(
        SECRET_KEY=settings.secret_key.get_secret_value(),
        JWT_SECRET_KEY=settings.jwt_secret_key.get_secret_value(),
        TESTING=settings.app_env == "testing",
    )


def _assemble(
    settings: Settings,
    feed: Feed,
    clock: Clock,
    instruments: Instruments,
    memory: StoredMemory,
) -> services.Services:
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
    return services.Services(
        settings=settings,
        clock=clock,
        feed=feed,
        quotes=QuoteBoard(
            feed,
            clock,
            tick_filter,
            # A quote of the pass before last is still served while a slow pass is under way.
            fresh_seconds=2 * interval,
            stale_seconds=3 * interval,
            stored=memory.last_quotes,
        ),
        history=CandleHistory(feed, clock, fresh_seconds=min(interval, 5)),
        instruments=instruments,
        messenger=CodeMessenger(settings, clock),
        polled_symbols=PolledSymbols(),
        calendar=calendar,
    )
