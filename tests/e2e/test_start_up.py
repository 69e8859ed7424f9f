"""The banner, and the messages of a start that is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import LiveTrader
from tests.support.recording_files import standing_still, write_recording
from tests.support.server import ServerProcess

MakeServer = Callable[..., ServerProcess]


@pytest.fixture(scope="module")
def running(make_shared_server: MakeServer) -> ServerProcess:
    # It idles during most tests, so it seldom looks for prices.
    return make_shared_server("running", fresh=True, MONITOR_INTERVAL_SECONDS=60).start()


@pytest.fixture
def refused(make_server: MakeServer) -> Callable[..., str]:
    """Start a server that cannot start; return its output."""

    def start(**environment: Any) -> str:
        server = make_server("refused", **environment)
        assert server.spawn().wait(60) == 2, server.output()
        assert "Traceback" not in server.output()
        return server.output()

    return start


def test_the_banner_shows_address_market_data_folder_and_a_first_request(
    running: ServerProcess,
) -> None:
    banner = running.output()

    assert running.url in banner
    assert "simulated" in banner
    assert str(running.folder / "data") in banner
    assert f"Open:   {running.url}/ " in banner
    assert f"curl {running.url}/market/live/NIFTY" in banner
    for name in ("secret_key", "jwt_secret_key"):
        assert (running.folder / "data" / name).stat().st_mode & 0o777 == 0o600


def test_outside_development_one_line_says_what_the_embedded_database_is_for(
    running: ServerProcess, make_server: MakeServer
) -> None:
    developing = make_server(APP_ENV="development").start()

    line = "the embedded database is for development, tests and demos"
    # It comes before the first response.
    assert [server.output().count(line) for server in (running, developing)] == [1, 0]


def test_one_message_names_everything_that_is_wrong(refused: Callable[..., str]) -> None:
    message = refused(PORT="abc", MARGIN_RATE="-1", REPLAY_FILE="/nope")

    assert message.count("The configuration cannot be used") == 1
    for name, value in {"PORT": "abc", "MARGIN_RATE": "-1", "REPLAY_FILE": "/nope"}.items():
        assert f"  {name}: " in message
        assert value in message


def test_production_refuses_each_unsafe_setting_by_name(refused: Callable[..., str]) -> None:
    message = refused(APP_ENV="production", SECRET_KEY="secret", CORS_ORIGINS="*")

    for name in ("SECRET_KEY", "JWT_SECRET_KEY", "MONGO_URI", "CORS_ORIGINS"):
        assert f"  {name}: production" in message


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SECRET_KEY"])
def test_production_refuses_a_missing_secret(refused: Callable[..., str], name: str) -> None:
    settings = {
        "APP_ENV": "production",
        "SECRET_KEY": "0f6d1c39e7a24b58c0d3f19a7be26584",
        "JWT_SECRET_KEY": "b2c94e70d5a81f36e9b7042dc68f1a35",
        "MONGO_URI": "mongodb://127.0.0.1:1/",
        "PRODUCTION_ALLOWS": "no_rate_limits",
    }

    message = refused(**{**settings, name: ""})

    assert f"  {name}: production" in message
    assert message.count(": production") == 1


def test_angel_one_without_credentials_names_each_that_is_missing(
    refused: Callable[..., str],
) -> None:
    message = refused(MARKET_DATA="angel_one", ANGEL_API_KEY="a-key")

    assert "ANGEL_API_KEY" not in message
    for name in ("ANGEL_CLIENT_CODE", "ANGEL_PASSWORD", "ANGEL_TOTP_SECRET"):
        assert f"  {name}: must be set" in message


def test_six_digits_are_no_totp_secret(refused: Callable[..., str]) -> None:
    message = refused(
        MARKET_DATA="angel_one",
        ANGEL_API_KEY="a-key",
        ANGEL_CLIENT_CODE="a-code",
        ANGEL_PASSWORD="0000",
        ANGEL_TOTP_SECRET="123456",
    )

    assert "ANGEL_TOTP_SECRET: is not a TOTP key" in message
    assert "not the six digits" in message
    assert "123456" not in message


def test_a_recording_that_cannot_be_played_is_named_with_its_line(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    recording = tmp_path / "broken.csv"
    recording.write_text("timestamp,symbol,price\n2026-11-23T03:45:00Z,^NSEI,dear\n")

    message = refused(MARKET_DATA="replay", REPLAY_FILE=recording)

    assert f"{recording}, line 2" in message


def test_a_database_that_does_not_answer_is_reported(refused: Callable[..., str]) -> None:
    message = refused(MONGO_URI="mongodb://someone:a-mongo-password@127.0.0.1:1/")

    assert "MONGO_URI" in message
    assert "a-mongo-password" not in message


def test_a_second_server_on_a_data_folder_says_who_has_it(
    running: ServerProcess, refused: Callable[..., str]
) -> None:
    assert running.process is not None

    message = refused(DATA_DIR=running.folder / "data")

    assert "DATA_DIR" in message
    assert str(running.process.pid) in message
    LiveTrader(running).open_portfolio()


def test_a_taken_port_is_named_before_a_database_is_started(
    running: ServerProcess, refused: Callable[..., str], tmp_path: Path
) -> None:
    message = refused(PORT=running.port)

    assert f"127.0.0.1:{running.port}" in message
    assert not (tmp_path / "refused" / "data" / "database.log").exists()
    LiveTrader(running).open_portfolio()


def test_one_seed_makes_one_market(make_server: MakeServer) -> None:
    first, second, other = (
        make_server(name, MARKET_SEED=seed).start()
        for name, seed in {"first": "42", "second": "42", "other": "43"}.items()
    )

    def prices(server: ServerProcess) -> list[dict[str, Any]]:
        path = "/market/history/{}?interval=15m&to=2026-11-20T10:00:00Z"
        symbols = ("NIFTY", "SENSEX", "RELIANCE")
        return [server.request("GET", path.format(symbol)).json() for symbol in symbols]

    assert prices(first) == prices(second) != prices(other)


def test_a_market_without_a_seed_continues_where_it_was(
    make_server: MakeServer, tmp_path: Path
) -> None:
    # Too far from the first price of a simulated market to be one.
    recording = write_recording(tmp_path / "day.csv", standing_still(20_000))
    server = make_server(MARKET_DATA="replay", REPLAY_FILE=recording).start()
    trader = LiveTrader(server)
    trader.open_portfolio()
    trader.create_trade()
    server.stop()

    server.environment["MARKET_DATA"] = "simulated"
    for _ in range(2):
        server.start()
        assert trader.price("NIFTY") == pytest.approx(20_000, rel=0.01)
        server.kill()
