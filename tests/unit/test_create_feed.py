"""The feed that a configuration selects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from app.clock import SystemClock
from app.market_data import create_feed
from app.market_data.feeds.live import LiveFeed
from app.market_data.feeds.replay import ReplayFeed
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.saved_market import SavedMarket
from config import ConfigurationError, Settings
from tests.support.live import eventually
from tests.support.market import ManualClock
from tests.support.server import free_port

REAL = {
    "ANGEL_API_KEY": "key",
    "ANGEL_CLIENT_CODE": "client",
    "ANGEL_PASSWORD": "0000",
    "ANGEL_TOTP_SECRET": "A" * 32,
}


class SavedPrice(SavedMarket):
    """A market of which the last price of NIFTY was saved."""

    def __init__(self, price: str) -> None:
        self._price = Decimal(price)

    def last_prices(self) -> Mapping[str, Decimal]:
        return {"^NSEI": self._price}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "day.csv"
    path.write_text("timestamp,symbol,price\n2026-11-23T03:45:00Z,^NSEI,25000\n")
    return path


@pytest.mark.parametrize("variables", [{}, {"MARKET_DATA": "auto"}, {"MARKET_DATA": "simulated"}])
def test_without_credentials_the_market_is_simulated(
    make_settings: Callable[..., Settings], variables: dict[str, str]
) -> None:
    feed = create_feed(make_settings(**variables), ManualClock())

    assert isinstance(feed, SimulatedFeed)
    assert feed.name == "simulated"


def test_the_seed_of_the_simulated_market_is_configured(
    make_settings: Callable[..., Settings],
) -> None:
    clock = ManualClock()
    settings = make_settings(MARKET_SEED="7")
    one, other = (
        create_feed(settings, clock, saved=SavedPrice(price)) for price in ("10000", "20000")
    )
    start = one.latest("^NSEI")

    assert start == other.latest("^NSEI")
    clock.advance(1)
    assert one.latest("^NSEI") != start
    assert one.latest("^NSEI") == other.latest("^NSEI")


def test_the_simulated_market_continues_from_the_last_prices(
    make_settings: Callable[..., Settings],
) -> None:
    feed = create_feed(make_settings(), ManualClock(), saved=SavedPrice("26000.05"))

    quote = feed.latest("^NSEI")

    assert quote is not None
    assert quote.price == Decimal("26000.05")


def test_a_recording_is_replayed_at_its_speed(
    make_settings: Callable[..., Settings], recording: Path
) -> None:
    recording.write_text(recording.read_text() + "2026-11-23T03:45:10Z,^NSEI,25010\n")
    clock = ManualClock()
    settings = make_settings(MARKET_DATA="replay", REPLAY_FILE=recording, REPLAY_SPEED=10)

    feed = create_feed(settings, clock)
    clock.advance(1)

    assert isinstance(feed, ReplayFeed)
    assert [each.price for each in feed.poll(["^NSEI"])] == [25_000, 25_010]


def test_an_unusable_recording_prevents_the_start(
    make_settings: Callable[..., Settings], recording: Path
) -> None:
    recording.write_text("timestamp,symbol,price\n2026-11-23T03:45:00Z,AAPL,200\n")
    settings = make_settings(MARKET_DATA="replay", REPLAY_FILE=recording)

    with pytest.raises(ConfigurationError) as refusal:
        create_feed(settings, ManualClock())

    assert refusal.value.offences == [f"REPLAY_FILE: {recording}, line 2: unknown symbol 'AAPL'"]


@pytest.mark.parametrize(
    ("variables", "sources"),
    [
        ({"MARKET_DATA": "yahoo"}, ["yahoo"]),
        ({"MARKET_DATA": "yahoo", **REAL}, ["yahoo"]),
        ({"MARKET_DATA": "angel_one", **REAL}, ["angel_one"]),
        ({"MARKET_DATA": "auto", **REAL}, ["angel_one", "yahoo"]),
        (
            {"MARKET_DATA": "auto", "MARKET_STREAM": "true", **REAL},
            ["angel_one", "yahoo", "stream"],
        ),
        ({"MARKET_DATA": "yahoo", "MARKET_STREAM": "true", **REAL}, ["yahoo"]),
    ],
)
def test_real_prices_come_from_the_configured_sources(
    make_settings: Callable[..., Settings], variables: dict[str, str], sources: list[str]
) -> None:
    feed = create_feed(make_settings(**variables), ManualClock())

    assert isinstance(feed, LiveFeed)
    assert list(feed.describe()) == sources


@pytest.mark.parametrize(("choice", "falls_back"), [("auto", True), ("angel_one", False)])
def test_only_auto_falls_back_to_the_simulated_market(
    make_settings: Callable[..., Settings], choice: str, falls_back: bool
) -> None:
    # No server listens there.
    nowhere = f"http://127.0.0.1:{free_port()}"
    settings = make_settings(
        MARKET_DATA=choice, ANGEL_ROOT_URL=nowhere, YAHOO_ROOT_URL=nowhere, **REAL
    )
    feed = create_feed(settings, SystemClock())

    def quote() -> bool:
        return feed.latest("^NSEI") is not None

    if falls_back:
        eventually(quote)
    else:
        assert not quote()


def test_a_configured_simulated_market_ignores_credentials(
    make_settings: Callable[..., Settings],
) -> None:
    feed = create_feed(make_settings(MARKET_DATA="simulated", **REAL), ManualClock())

    assert feed.name == "simulated"
