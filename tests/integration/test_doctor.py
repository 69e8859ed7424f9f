"""`flask doctor`: each problem is reported with its remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from app.database import collection
from app.database.indexes import INDEXES, create_indexes
from app.extensions import mongo
from embedded_db.supervisor import EmbeddedDatabase
from tests.fakes.angel_one import FakeAngelOne
from tests.fakes.smtp import PASSWORD, USERNAME, MailServer, make_certificate
from tests.fakes.twilio import TOKEN, TwilioServer
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.server import free_port

CHECKS = [
    "configuration",
    "database",
    "indexes",
    "transactions",
    "redis",
    "prices",
    "angel one",
    "yahoo",
    "email",
    "sms",
]


def examine(app: Flask) -> tuple[Result, dict[str, list[str]]]:
    """Run the doctor; return its result, and the cells of each check's row."""
    result = app.test_cli_runner().invoke(args=["doctor"])
    rows = [re.split(r"\s{2,}", line) for line in result.stdout.splitlines()]
    return result, {row[0]: row[1:] for row in rows if row[0] in CHECKS}


def assert_only_fault(app: Flask, check: str, found: str, remedy: str) -> None:
    """Check that exactly one check found a problem, with these words in problem and remedy."""
    result, rows = examine(app)
    faults = {name: row[1:] for name, row in rows.items() if row[0] == "FAULT"}
    assert result.exit_code == 1, result.output
    assert list(faults) == [check], result.output
    assert found in faults[check][0]
    assert remedy in faults[check][1]


def test_a_healthy_server_is_reported_check_by_check(app: Flask) -> None:
    result, rows = examine(app)

    assert result.exit_code == 0
    assert list(rows) == CHECKS
    assert {row[0] for row in rows.values()} == {"ok"}
    assert rows["configuration"][1] == "APP_ENV=testing"
    assert rows["database"][1] == "a lone server"
    assert rows["transactions"][1] == "commit"
    assert rows["indexes"][1] == f"{sum(len(models) for models in INDEXES.values())} present"
    assert rows["redis"][1] == "not used (one process only)"
    assert rows["prices"][1] == "scripted: ^NSEI at 25000.00"
    assert rows["email"][1] == "recorded, not sent; set SMTP_USERNAME, SMTP_PASSWORD to send"
    assert rows["sms"][1] == (
        "recorded, not sent; set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_PHONE_NUMBER to send"
    )
    assert "Checking" in result.stderr


@pytest.mark.own_database
def test_a_missing_index_is_named(app: Flask) -> None:
    collection("trades").drop_index("waiting_1_symbol_1_trigger_below_1")
    assert_only_fault(app, "indexes", "trades.waiting_symbol_trigger_below", "restart the server")

    create_indexes()
    assert examine(app)[0].exit_code == 0


@pytest.fixture
def own_database(tmp_path: Path) -> Iterator[EmbeddedDatabase]:
    """A separate database that the test may stop."""
    database = EmbeddedDatabase(tmp_path / "own")
    database.start()
    yield database
    database.stop()


def test_a_stopped_database_is_reported_by_every_check_that_needs_it(
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


def test_unreachable_redis_is_reported(make_app: Callable[..., Flask]) -> None:
    app = make_app(REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    assert_only_fault(app, "redis", "ConnectionError", "start Redis, or correct REDIS_URL")


def test_a_feed_without_a_price_is_reported(
    app: Flask, feed: ScriptedFeed, clock: ManualClock
) -> None:
    feed.set("^NSEI", 0)
    assert_only_fault(app, "prices", "There is no price for ^NSEI", "docs/market-data.md")


@pytest.fixture
def smtp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """The variables for the fake mail server, whose certificate is trusted, and its user."""
    server = MailServer(*make_certificate(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    with server.open():
        yield server.environment


@pytest.fixture
def twilio() -> Iterator[TwilioServer]:
    with TwilioServer().open() as server:
        yield server


@pytest.mark.needs("openssl")
def test_a_mail_server_and_an_sms_gateway_that_accept_the_login_pass(
    make_app: Callable[..., Flask], smtp: dict[str, object], twilio: TwilioServer
) -> None:
    result, rows = examine(make_app(**smtp, **twilio.environment))
    assert result.exit_code == 0, result.output
    assert rows["email"] == ["ok", "signed in"]
    assert rows["sms"] == ["ok", "signed in"]
    assert twilio.messages == []


def test_the_missing_ones_of_incomplete_credentials_are_named(
    make_app: Callable[..., Flask],
) -> None:
    _, rows = examine(make_app(SMTP_USERNAME=USERNAME, TWILIO_AUTH_TOKEN=TOKEN))
    assert rows["email"][1] == "recorded, not sent; set SMTP_PASSWORD to send"
    assert rows["sms"][1] == (
        "recorded, not sent; set TWILIO_ACCOUNT_SID, TWILIO_PHONE_NUMBER to send"
    )


@pytest.mark.needs("openssl")
def test_a_refused_mail_login_is_reported_without_the_password(
    make_app: Callable[..., Flask], smtp: dict[str, object]
) -> None:
    app = make_app(**{**smtp, "SMTP_PASSWORD": "not-the-password"})
    assert_only_fault(
        app,
        "email",
        "the mail server refused the login (535)",
        "correct SMTP_USERNAME and SMTP_PASSWORD",
    )
    assert "not-the-password" not in examine(app)[0].output


@pytest.mark.parametrize(
    ("variables", "found", "remedy"),
    [
        ({"TWILIO_AUTH_TOKEN": "not-the-token"}, "error 20003", "TWILIO_AUTH_TOKEN again"),
        ({"TWILIO_PHONE_NUMBER": "+15559999"}, "no such number", "set TWILIO_PHONE_NUMBER"),
    ],
)
def test_each_wrong_credential_of_twilio_is_reported_and_not_shown(
    make_app: Callable[..., Flask],
    twilio: TwilioServer,
    variables: dict[str, str],
    found: str,
    remedy: str,
) -> None:
    app = make_app(**{**twilio.environment, **variables})
    assert_only_fault(app, "sms", found, remedy)
    output = examine(app)[0].output
    assert "not-the-token" not in output
    assert TOKEN not in output


def test_an_unreachable_mail_server_and_sms_gateway_are_reported(
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
    assert rows["email"][:2] == ["FAULT", "the mail server refused the connection"]
    assert "SMTP_PORT" in rows["email"][2]
    assert rows["sms"][:2] == ["FAULT", "Twilio could not be reached (ConnectionError)"]
    assert "TWILIO_ROOT_URL" in rows["sms"][2]
    assert "a-token-for-tests" not in result.output


@pytest.fixture
def angel_one(clock: ManualClock) -> Iterator[tuple[FakeAngelOne, dict[str, str]]]:
    angel = FakeAngelOne(clock.now)
    with angel.serve() as root:
        yield angel, {"MARKET_DATA": "angel_one", **angel.variables(root)}


def test_without_real_prices_no_source_is_contacted(app: Flask) -> None:
    _, rows = examine(app)
    assert rows["angel one"][1] == rows["yahoo"][1] == "not used (MARKET_DATA=auto)"


def test_angel_one_that_accepts_the_login_shows_a_price(
    make_app: Callable[..., Flask], angel_one: tuple[FakeAngelOne, dict[str, str]]
) -> None:
    _, rows = examine(make_app(**angel_one[1]))
    assert rows["angel one"] == ["ok", "signed in; NIFTY 50 at 25012.35"]
    assert rows["yahoo"] == ["ok", "not used (MARKET_DATA=angel_one)"]


def test_a_pin_that_angel_one_refuses_is_reported_without_showing_it(
    make_app: Callable[..., Flask], angel_one: tuple[FakeAngelOne, dict[str, str]]
) -> None:
    app = make_app(**{**angel_one[1], "ANGEL_PASSWORD": "another-pin"})
    assert_only_fault(app, "angel one", "AB1007", "Angel One in five minutes")
    assert "another-pin" not in examine(app)[0].output


def test_unreachable_yahoo_is_reported(make_app: Callable[..., Flask]) -> None:
    app = make_app(MARKET_DATA="yahoo", YAHOO_ROOT_URL=f"http://127.0.0.1:{free_port()}")
    assert_only_fault(app, "yahoo", "YAHOO_ROOT_URL", "docs/market-data.md")


def test_an_address_of_a_deployment_is_https_and_a_host(app: Flask) -> None:
    for url in ("http://desk.example.com", "https://desk.example.com/path", "desk.example.com"):
        result = app.test_cli_runner().invoke(args=["doctor", "--production", url])
        assert result.exit_code == 2
        assert "https://desk.example.com" in result.stderr
