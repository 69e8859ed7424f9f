"""`flask doctor`: each fault is found, and told with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from app.database import collection
from app.database.embedded import EmbeddedDatabase
from app.database.indexes import INDEXES, create_indexes
from app.extensions import mongo
from tests.support.mail_login import PASSWORD, USERNAME, mail_server, make_certificate
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.server import free_port

CHECKS = [
    "configuration",
    "database",
    "indexes",
    "transactions",
    "redis",
    "prices",
    "email",
    "sms",
]


def examine(app: Flask) -> tuple[Result, dict[str, list[str]]]:
    """Run the doctor; return what it said, and the cells of each check's row."""
    result = app.test_cli_runner().invoke(args=["doctor"])
    rows = [re.split(r"\s{2,}", line) for line in result.stdout.splitlines()]
    return result, {row[0]: row[1:] for row in rows if row[0] in CHECKS}


def assert_only_fault(app: Flask, check: str, found: str, remedy: str) -> None:
    """See that one check alone found something, what that was, and what is to be done."""
    result, rows = examine(app)
    faults = {name: row[1:] for name, row in rows.items() if row[0] == "FAULT"}
    assert result.exit_code == 1, result.output
    assert list(faults) == [check], result.output
    assert found in faults[check][0]
    assert remedy in faults[check][1]


def test_a_healthy_server_is_told_so_in_full(app: Flask) -> None:
    result, rows = examine(app)

    assert result.exit_code == 0
    assert list(rows) == CHECKS
    assert {row[0] for row in rows.values()} == {"ok"}
    assert rows["configuration"][1] == "APP_ENV=testing"
    assert rows["database"][1].startswith("replica set ")
    assert rows["indexes"][1] == f"{sum(len(models) for models in INDEXES.values())} present"
    assert rows["redis"][1] == "not used (one process only)"
    assert rows["prices"][1] == "scripted: ^NSEI at 25000.00"
    assert rows["email"][1] == "recorded, not sent; set SMTP_* to send"
    assert rows["sms"][1] == "recorded, not sent; set TWILIO_* to send"
    assert "Checking" in result.stderr


def test_a_missing_index_is_named(app: Flask) -> None:
    collection("trades").drop_index("status_1_symbol_1_trigger_below_1")
    assert_only_fault(app, "indexes", "trades.status_symbol_trigger_below", "restart the server")

    create_indexes()
    assert examine(app)[0].exit_code == 0


@pytest.fixture
def own_database(tmp_path: Path) -> Iterator[EmbeddedDatabase]:
    """A database of the test's own, which it may end."""
    database = EmbeddedDatabase(tmp_path / "own")
    database.start()
    yield database
    database.stop()


def test_a_database_that_went_away_is_told_by_every_check_that_needs_it(
    make_app: Callable[..., Flask], own_database: EmbeddedDatabase
) -> None:
    app = make_app()
    assert mongo.cx is not None
    mongo.cx.close()
    mongo.init_app(app, own_database.uri, serverSelectionTimeoutMS=200, timeoutMS=500)
    assert mongo.cx is not None
    mongo.db = mongo.cx["gone"]
    own_database.stop()
    try:
        result, rows = examine(app)
    finally:
        mongo.cx.close()
        mongo.cx = mongo.db = None

    assert result.exit_code == 1
    faults = {name: row[2] for name, row in rows.items() if row[0] == "FAULT"}
    assert list(faults) == ["database", "indexes", "transactions"]
    assert faults["database"] == "start the database, or correct MONGO_URI"
    assert all(faults.values())


def test_redis_that_does_not_answer_is_told(make_app: Callable[..., Flask]) -> None:
    app = make_app(REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    assert_only_fault(app, "redis", "ConnectionError", "start Redis, or correct REDIS_URL")


def test_a_feed_without_a_price_is_told(app: Flask, feed: ScriptedFeed, clock: ManualClock) -> None:
    feed.set("^NSEI", 0)
    assert_only_fault(app, "prices", "There is no price for ^NSEI", "see MARKET_DATA")


@pytest.fixture
def smtp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """The variables that name a mail server, which is trusted here, and its user."""
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(certificate, key) as port:
        yield {
            "SMTP_SERVER": "127.0.0.1",
            "SMTP_PORT": port,
            "SMTP_USERNAME": USERNAME,
            "SMTP_PASSWORD": PASSWORD,
        }


@pytest.mark.needs("openssl")
def test_a_mail_server_that_lets_us_in_is_well(
    make_app: Callable[..., Flask], smtp: dict[str, object]
) -> None:
    result, rows = examine(make_app(**smtp))
    assert result.exit_code == 0, result.output
    assert rows["email"] == ["ok", "signed in"]


@pytest.mark.needs("openssl")
def test_a_mail_server_that_refuses_the_login_is_told_without_the_password(
    make_app: Callable[..., Flask], smtp: dict[str, object]
) -> None:
    app = make_app(**{**smtp, "SMTP_PASSWORD": "not-the-password"})
    assert_only_fault(app, "email", "SMTPAuthenticationError", "correct SMTP_*")
    assert "not-the-password" not in examine(app)[0].output


def test_a_mail_server_and_an_sms_gateway_that_are_away_are_told(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(
        SMTP_SERVER="127.0.0.1",
        SMTP_PORT=free_port(),
        SMTP_USERNAME=USERNAME,
        SMTP_PASSWORD=PASSWORD,
        TWILIO_ACCOUNT_SID="AC0123456789",
        TWILIO_AUTH_TOKEN="a-token-for-tests",
        TWILIO_PHONE_NUMBER="+15005550006",
        TWILIO_ROOT_URL=f"http://127.0.0.1:{free_port()}",
    )
    result, rows = examine(app)
    assert result.exit_code == 1
    assert rows["email"] == ["FAULT", "ConnectionRefusedError", "correct SMTP_*"]
    assert rows["sms"][0] == "FAULT"
    assert rows["sms"][2] == "correct TWILIO_*"
    assert "a-token-for-tests" not in result.output
