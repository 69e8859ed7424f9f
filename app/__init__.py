"""The paper trading backend: a Flask application made of blueprints over MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.clock import Clock
    from app.market_data.feed import Feed
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
    polls: bool = True,
) -> Flask:
    """Make the application, without starting anything: `app.server` runs its workers.

    `mongo_uri`, `feed` and `clock` replace those of the settings. Requests that write are refused
    while the `disk` is full. With `for_command`, nothing about the start is stored, so that a
    running server is not disturbed, and on data of an earlier version only `migrate` is offered.
    Without `polls` all prices are those of other processes, and the settings name a Redis.
    Raises ConfigurationError, PyMongoError.
    """
    # Not above: `run.py` imports this package before it makes the standard library cooperative.
    from app import realtime, services
    from app.assembly import assemble_services
    from app.cli.migrate import offer_only_migrate
    from app.database.migrations import OutdatedData
    from app.web import cors, rate_limits
    from config import load_settings

    settings = settings or load_settings()
    app = _create_flask(settings)
    try:
        _prepare_database(app, mongo_uri or settings.mongo_uri, for_command=for_command)
    except OutdatedData as error:
        offer_only_migrate(app, error)
        return app
    parts = assemble_services(settings, feed, clock, store=not for_command, polls=polls)
    services.init_app(app, parts)
    rate_limits.init_app(app, settings)
    cors.init_app(app, settings)
    realtime.init_app(app, settings)
    _add_routes(app, settings, disk)
    return app


def _create_flask(settings: Settings) -> Flask:
    from flask import Flask

    from app import metrics, tracing
    from app.web import auth, errors, request_log, sessions
    from app.web.rules import Rule

    # Without a static folder: a missing file would be a 404 that no rate limit counts.
    app = Flask("app", static_folder=None)
    app.url_rule_class = Rule
    # Flask would redirect to the host that the request names.
    app.url_map.merge_slashes = False
    # Without SECRET_KEY: Flask would look for a session of its own in each request.
    app.config.update(
        JWT_SECRET_KEY=settings.jwt_secret_key.get_secret_value(),
        TESTING=settings.app_env == "testing",
    )
    metrics.init_app(app)
    tracing.init_app(app, settings)
    request_log.init_app(app)
    sessions.init_app(app)
    auth.init_app(app, settings)
    errors.init_app(app)
    return app


def _prepare_database(app: Flask, uri: str, *, for_command: bool) -> None:
    from app import database
    from app.database import transactions
    from app.database.backup import require_whole
    from app.database.deployment import recognize_secantus, require_transactions
    from app.database.indexes import create_indexes
    from app.database.migrations import migrate

    database.init_app(app, uri)
    transactions.init_app(app)
    recognize_secantus()
    require_transactions()
    if not for_command:
        require_whole()
    # A command builds no index beside a running server, except `migrate`.
    prepares = not for_command or not database.database().list_collection_names()
    with app.app_context():
        migrate(for_command=for_command)
    if prepares:
        create_indexes()


def _add_routes(app: Flask, settings: Settings, disk: Disk | None) -> None:
    from app import cli
    from app.api_keys import routes as api_keys
    from app.auth import account_routes as account
    from app.auth import routes as auth
    from app.auth import second_factor_routes as second_factor
    from app.auth import session_routes as sessions
    from app.desk import routes as desk
    from app.market import routes as market
    from app.notifications import routes as notifications
    from app.portfolio import routes as portfolio
    from app.trades import routes as trades
    from app.watchlists import routes as watchlists
    from app.web import docs_page, front, health, metrics, openapi, storage
    from app.webhooks import routes as webhooks
    from app.webhooks import sending

    accounts = (auth, sessions, account, second_factor, api_keys)
    for routes in (*accounts, portfolio, market, watchlists, trades, notifications, webhooks):
        app.register_blueprint(routes.blueprint)
    sending.init_app(app, settings)
    health.init_app(app)
    metrics.init_app(app, settings)
    storage.init_app(app, disk)
    openapi.init_app(app)
    docs_page.init_app(app)
    desk.init_app(app)
    cli.init_app(app)
    front.init_app(app, settings)
