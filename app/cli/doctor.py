"""`flask --app run doctor`: check that everything the server needs is present and works."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import click
import redis
from flask.cli import with_appcontext
from pymongo.errors import PyMongoError

from app.cli.finding import Finding
from app.cli.tables import table
from app.database import collection
from app.database.deployment import describe_deployment
from app.database.indexes import INDEXES, find_missing
from app.database.transactions import run_transaction
from app.delivery import DeliveryError, create_senders
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import Source
from app.market_data import create_sources
from app.market_data.providers.base import SourceError
from app.services import services


@click.command()
@click.option(
    "--production",
    "url",
    metavar="URL",
    help="Try a running deployment as well, at the address that its clients use.",
)
@with_appcontext
def doctor(url: str | None) -> None:
    """Check the configuration and everything that it names; exit 1 on a fault."""
    checks = {**CHECKS, **(_checks_of_deployment(url) if url else {})}
    rows = []
    with click.progressbar(checks.items(), label="Checking", file=sys.stderr) as progress:
        for name, run in progress:
            finding = run()
            remedy = "" if finding.ok else finding.remedy
            rows.append((name, "ok" if finding.ok else "FAULT", finding.found, remedy))
    click.echo(table(("check", "", "found", "what to do"), rows))
    if any(row[1] == "FAULT" for row in rows):
        raise SystemExit(1)


def _checks_of_deployment(url: str) -> dict[str, Callable[[], Finding]]:
    # Imported here, because every start imports this module.
    from app.cli.production_checks import PRODUCTION_CHECKS, Address, check_safely

    try:
        address = Address.of(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--production") from None
    return {
        name: partial(check_safely, check, address) for name, check in PRODUCTION_CHECKS.items()
    }


def _configuration() -> Finding:
    # With an invalid configuration the application would not have started.
    return Finding(True, f"APP_ENV={services().settings.app_env}")


def _database() -> Finding:
    try:
        deployment = describe_deployment()
    except PyMongoError as error:
        return Finding(False, type(error).__name__, "start the database, or correct MONGO_URI")
    if deployment is None:
        return Finding(False, "a standalone MongoDB", "make it a replica set: docs/production.md")
    return Finding(True, deployment)


def _indexes() -> Finding:
    try:
        missing = find_missing()
    except PyMongoError as error:
        return Finding(False, type(error).__name__, "start the database, or correct MONGO_URI")
    if missing:
        remedy = "run `flask --app run migrate`, or restart the server"
        return Finding(False, f"missing: {', '.join(missing)}", remedy)
    return Finding(True, f"{sum(map(len, INDEXES.values()))} present")


def _transactions() -> Finding:
    try:
        run_transaction(lambda: collection("users").find_one({}, {}))
    except PyMongoError as error:
        return Finding(False, type(error).__name__, "give the user of MONGO_URI the role readWrite")
    return Finding(True, "commit")


def _redis() -> Finding:
    url = services().settings.redis_url
    if url is None:
        return Finding(True, "not used (one process only)")
    try:
        redis.Redis.from_url(url, socket_timeout=3).ping()
    except redis.RedisError as error:
        return Finding(False, type(error).__name__, "start Redis, or correct REDIS_URL")
    return Finding(True, "answers")


def _feed() -> Finding:
    try:
        quote = services().quotes.sample()
    except MarketDataUnavailable as error:
        return Finding(False, error.message, "see docs/market-data.md")
    return Finding(True, f"{services().feed.name}: {quote.symbol} at {quote.price}")


def _source(source: Source, advice: str) -> Callable[[], Finding]:
    def check() -> Finding:
        parts = services()
        settings = parts.settings
        used = create_sources(settings, parts.clock) if settings.uses_real_prices else []
        in_use = next((candidate for candidate in used if candidate.source is source), None)
        if in_use is None:
            return Finding(True, f"not used (MARKET_DATA={settings.market_data})")
        try:
            return Finding(True, in_use.verify())
        except SourceError as error:
            return Finding(False, str(error), advice)

    return check


def _sender(channel: str, *variables: str) -> Callable[[], Finding]:
    def check() -> Finding:
        settings = services().settings
        sender = next(
            candidate for candidate in create_senders(settings) if candidate.channel == channel
        )
        if sender.outcome == "recorded":
            missing = [name for name in variables if not str(getattr(settings, name.lower()))]
            return Finding(True, f"recorded, not sent; set {', '.join(missing)} to send")
        try:
            sender.verify()
        except DeliveryError as error:
            return Finding(False, str(error), error.remedy or f"correct {', '.join(variables)}")
        return Finding(True, "signed in")

    return check


CHECKS: dict[str, Callable[[], Finding]] = {
    "configuration": _configuration,
    "database": _database,
    "indexes": _indexes,
    "transactions": _transactions,
    "redis": _redis,
    "prices": _feed,
    "angel one": _source(Source.ANGEL_ONE, "see docs/market-data.md, Angel One in five minutes"),
    "yahoo": _source(Source.YAHOO, "see docs/market-data.md"),
    "email": _sender("email", "SMTP_USERNAME", "SMTP_PASSWORD"),
    "sms": _sender("sms", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER"),
}
