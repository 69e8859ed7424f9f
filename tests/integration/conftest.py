"""Fixtures: an open application context, and fakes of the external servers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from pymongo import MongoClient
from pymongo.database import Database

from app.database import Document, database
from app.market_data.providers.angel_one.source import AngelOneSource
from app.market_data.providers.yahoo import YahooSource
from config import Settings
from tests.fakes.angel_one import FakeAngelOne
from tests.fakes.angel_stream import AngelStreamServer
from tests.fakes.smtp import MailServer, make_certificate
from tests.fakes.twilio import TwilioServer
from tests.fakes.yahoo import FakeYahoo
from tests.support.angel_one import unthrottled_source
from tests.support.faults import FaultyDatabase
from tests.support.market import ManualClock
from tests.support.senders import FakeSender
from tests.support.stream import CREDENTIALS, SECRET, Session, StreamFactory, accept
from tests.support.yahoo import PRICES


@pytest.fixture
def app_context(app: Flask) -> Iterator[Flask]:
    """The application, with an open context."""
    with app.app_context():
        yield app


@pytest.fixture
def raw_db(app: Flask, mongo_uri: str) -> Iterator[Database[Document]]:
    """The same database through a client without our codec."""
    client: MongoClient[Document] = MongoClient(mongo_uri)
    yield client[database().name]
    client.close()


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyDatabase]:
    """A database server whose commands a test can make fail, as in an election."""
    server = FaultyDatabase(tmp_path_factory.mktemp("faulty"))
    yield server
    server.stop()


@pytest.fixture
def stream_server() -> Iterator[AngelStreamServer]:
    """A fake of Angel One's stream; the test fails if a client violates the protocol."""
    server = AngelStreamServer()
    accept(server, CREDENTIALS)
    with server.open():
        yield server
    assert server.violations == []


@pytest.fixture
def stream_session() -> Session:
    return Session()


@pytest.fixture
def streams(caplog: pytest.LogCaptureFixture) -> Iterator[StreamFactory]:
    """Make streams; the test fails if one of them logs a secret."""
    with caplog.at_level(logging.DEBUG), StreamFactory().until_the_end() as streams:
        yield streams
    assert SECRET not in caplog.text


@pytest.fixture
def yahoo(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeYahoo]:
    """A fake of Yahoo with the prices of three symbols."""
    # Otherwise curl would use a developer's proxy.
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FakeYahoo(clock.now()) as server:
        for symbol, price in PRICES.items():
            server.set_price(symbol, price)
        yield server


@pytest.fixture
def source(
    yahoo: FakeYahoo, clock: ManualClock, make_settings: Callable[..., Settings]
) -> YahooSource:
    return YahooSource(make_settings(YAHOO_ROOT_URL=yahoo.url), clock)


@pytest.fixture
def angel(clock: ManualClock) -> FakeAngelOne:
    return FakeAngelOne(now=clock.now)


@pytest.fixture
def angel_one(
    angel: FakeAngelOne, clock: ManualClock, make_settings: Callable[..., Settings]
) -> Iterator[AngelOneSource]:
    """The source of this fake, without a throttle."""
    with angel.serve() as root:
        yield unthrottled_source(make_settings(**angel.variables(root)), clock)


@pytest.fixture
def email() -> FakeSender:
    return FakeSender("email")


@pytest.fixture
def sms() -> FakeSender:
    return FakeSender("sms")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def mail_server(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[MailServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with MailServer(*certificate).open() as server:
        yield server


@pytest.fixture
def sms_server() -> Iterator[TwilioServer]:
    with TwilioServer().open() as server:
        yield server
