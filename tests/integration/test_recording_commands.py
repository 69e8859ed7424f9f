"""`flask --app run record` and `import-candles`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from app import create_app
from app.market_data.feeds.recording import read_recording
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.instruments.registry import load_instruments
from app.services import services
from config import Settings
from tests.support.recording_files import falling_and_rising, write_recording

Run = Callable[..., Result]
YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume\n"


@pytest.fixture
def make(
    make_app: Callable[..., Flask], make_settings: Callable[..., Settings], mongo_uri: str
) -> Callable[..., Flask]:
    """Make the application of a command, with the feed that its variables name."""
    make_app()

    def make(**variables: object) -> Flask:
        settings = make_settings(MONITOR_INTERVAL_SECONDS="0.05", **variables)
        return create_app(settings, mongo_uri=mongo_uri, for_command=True)

    return make


def run(app: Flask, *arguments: object) -> Result:
    return app.test_cli_runner().invoke(args=[str(each) for each in arguments])


def prices(path: Path) -> list[tuple[str, float]]:
    ticks = read_recording(path, load_instruments()).ticks
    return [(tick.symbol, float(tick.price)) for tick in ticks]


def test_record_writes_the_ticks_of_a_replay_until_it_is_over(
    make: Callable[..., Flask], tmp_path: Path
) -> None:
    ticks = falling_and_rising(seconds=2)
    source = write_recording(tmp_path / "source.csv", ticks)
    app = make(MARKET_DATA="replay", REPLAY_FILE=source, REPLAY_SPEED="20")
    path = tmp_path / "new" / "day.csv.gz"
    result = run(app, "record", path, "--symbols", "nifty, ^BSESN,NIFTY")

    recorded = [(symbol, price) for _, symbol, price in ticks if symbol != "RELIANCE.NS"]
    assert result.exit_code == 0, result.output
    assert result.stdout == f"41 ticks of 2 symbols are in {path}.\n"
    assert sorted(prices(path)) == sorted(recorded)
    nifty = [price for symbol, price in prices(path) if symbol == "^NSEI"]
    assert nifty == sorted(nifty, reverse=True)


def test_ctrl_c_ends_a_recording_without_a_loss(
    make: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make(MARKET_DATA="simulated")
    with app.app_context():
        feed = services().feed
    polls = iter(range(3))

    def poll(symbols: list[str]) -> object:
        if next(polls, None) is None:
            raise KeyboardInterrupt
        return SimulatedFeed.poll(feed, symbols)  # type: ignore[arg-type]

    monkeypatch.setattr(feed, "poll", poll)
    result = run(app, "record", tmp_path / "day.csv")

    assert result.exit_code == 0, result.output
    assert len(prices(tmp_path / "day.csv")) == 6


def test_record_says_why_it_cannot(make: Callable[..., Flask], tmp_path: Path) -> None:
    app = make(MARKET_DATA="simulated")
    (tmp_path / "mine.txt").write_text("mine\n")
    foreign = run(app, "record", tmp_path / "mine.txt")
    unknown = run(app, "record", tmp_path / "day.csv", "--symbols", "NOSUCH")

    assert foreign.exit_code == 1
    assert "Nothing more can be recorded: it is not a recording that can be" in foreign.output
    assert (tmp_path / "mine.txt").read_text() == "mine\n"
    assert unknown.exit_code == 2
    assert "'NOSUCH' is not a known symbol." in unknown.output


def test_candles_become_a_recording_that_a_replay_plays(
    make: Callable[..., Flask], tmp_path: Path
) -> None:
    for symbol, base in {"RELIANCE.NS": 1_400, "TCS.NS": 3_000}.items():
        rows = "2024-07-08,{0},{1},{2},{1},1,5\n".format(base, base + 10, base - 10)
        (tmp_path / f"{symbol}.csv").write_text(YAHOO + rows)
    out = tmp_path / "days.csv.gz"
    result = run(make(), "import-candles", tmp_path / "*.NS.csv", out)

    assert result.exit_code == 0, result.output
    assert f"2 candles of 2 symbols are 8 ticks in {out}." in result.stdout
    app = make(MARKET_DATA="replay", REPLAY_FILE=out)
    assert prices(out)[:2] == [("RELIANCE.NS", 1_400), ("TCS.NS", 3_000)]
    with app.app_context():
        assert set(services().feed.symbols()) == {"RELIANCE.NS", "TCS.NS"}


def test_nothing_is_written_if_a_row_of_any_file_is_unusable(
    make: Callable[..., Flask], tmp_path: Path
) -> None:
    folder = tmp_path / "candles"
    folder.mkdir()
    (folder / "RELIANCE.NS.csv").write_text(f"{YAHOO}2024-07-08,1,2,1,2,2,3\n")
    (folder / "TCS.NS.csv").write_text(f"{YAHOO}2024-07-08,1,2,x,2,2,3\n")
    result = run(make(), "import-candles", folder, tmp_path / "out.csv", "--format", "yahoo")

    assert result.exit_code == 1
    assert f"{folder / 'TCS.NS.csv'}, line 2, column Low: 'x' is not a price." in result.output
    assert sorted(tmp_path.iterdir()) == [folder]


def test_a_file_that_exists_is_not_replaced(make: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("mine\n")
    result = run(make(), "import-candles", tmp_path / "RELIANCE.NS.csv", tmp_path / "out.csv")

    assert result.exit_code == 1
    assert "exists. Name another file" in result.output
    assert (tmp_path / "out.csv").read_text() == "mine\n"
