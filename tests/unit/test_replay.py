"""Recordings: read completely or refused, and replayed in order without skipping a tick."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.candle import Interval
from app.domain.quote import NO_DETAILS, Quote, QuoteDetails, Source
from app.market_data.feeds.recording import RecordingError, read_recording
from app.market_data.feeds.replay import ReplayFeed
from app.market_data.instruments.registry import load_instruments
from tests.support.market import ManualClock
from tests.support.quotes import prices_of

OPENING = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
HEADER = "timestamp,symbol,price\n"


def read(tmp_path: Path, text: str) -> list[Quote]:
    path = tmp_path / "day.csv"
    path.write_text(text, encoding="utf-8")
    return read_recording(path, load_instruments()).ticks


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(RecordingError) as error:
        read(tmp_path, text)
    return str(error.value)


def tick(seconds: float, price: int, symbol: str = "^NSEI") -> Quote:
    return Quote(symbol, Decimal(price), Source.REPLAY, OPENING + timedelta(seconds=seconds))


def prices(ticks: list[Quote]) -> list[Decimal]:
    return [tick.price for tick in ticks]


def test_every_tick_is_returned_once_in_order() -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(0, 1), tick(1, 2), tick(2, 3), tick(2.5, 4)], clock)

    assert prices(feed.poll(["^NSEI"])) == [1]
    clock.advance(2)
    assert prices(feed.poll(["^NSEI"])) == [2, 3]
    assert feed.poll(["^NSEI"]) == []
    clock.advance(60)
    assert prices(feed.poll(["^NSEI"])) == [4]


def test_the_time_of_the_market_is_that_of_the_last_poll_unless_another_process_polls() -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(0, 1), tick(60, 2)], clock, idle_seconds=30)
    clock.advance(5)
    feed.poll(["^NSEI"])
    times = []
    for seconds in (0, 10, 20, 1):
        clock.advance(seconds)
        times.append((feed.market_time() - OPENING).total_seconds())

    assert times == [5, 5, 5, 36]


def test_the_speed_is_recorded_seconds_per_second() -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(0, 1), tick(30, 2), tick(60, 3)], clock, speed=60)

    clock.advance(0.5)
    assert prices(feed.poll(["^NSEI"])) == [1, 2]
    clock.advance(0.5)
    assert prices(feed.poll(["^NSEI"])) == [3]


def test_ticks_of_the_same_time_keep_their_order() -> None:
    feed = ReplayFeed([tick(0, 3), tick(0, 1), tick(0, 2)], ManualClock())

    assert prices(feed.poll(["^NSEI"])) == [3, 1, 2]


def test_a_recording_out_of_order_is_played_in_order() -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(2, 3), tick(0, 1), tick(1, 2)], clock)
    clock.advance(5)

    assert prices(feed.poll(["^NSEI"])) == [1, 2, 3]


def test_only_the_polled_symbols_are_returned() -> None:
    feed = ReplayFeed([tick(0, 1), tick(0, 2, "TCS.NS")], ManualClock())

    assert prices(feed.poll({"TCS.NS", "INFY.NS"})) == [2]


def test_the_latest_price_is_the_last_tick_up_to_now() -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(0, 1), tick(10, 2), tick(10, 3, "TCS.NS")], clock)

    assert feed.latest("^NSEI") == tick(0, 1)
    assert feed.latest("TCS.NS") is None
    assert feed.latest("INFY.NS") is None
    clock.advance(10)
    assert feed.latest("^NSEI") == tick(10, 2)
    assert feed.latest("TCS.NS") == tick(10, 3, "TCS.NS")


def test_reading_the_latest_price_takes_no_tick_from_the_monitor() -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(0, 1), tick(1, 2)], clock)
    clock.advance(1)
    feed.latest("^NSEI")

    assert prices(feed.poll(["^NSEI"])) == [1, 2]


@pytest.mark.parametrize("speed", [1, 1e12])
def test_the_last_prices_stay_after_the_last_tick(speed: float) -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(0, 1), tick(5, 2)], clock, speed=speed)
    clock.advance(86_400 * 365)
    feed.poll(["^NSEI"])

    assert feed.poll(["^NSEI"]) == []
    assert feed.latest("^NSEI") == tick(5, 2)


def test_a_recording_is_read_with_its_times_prices_and_aliases(tmp_path: Path) -> None:
    ticks = read(
        tmp_path,
        f"\ufeff{HEADER}2026-11-23T09:15:00+05:30,NIFTY,25000\n"
        "2026-11-23T03:45:01.250Z, reliance ,1400.055\n",
    )

    assert ticks == [
        Quote("^NSEI", Decimal("25000.00"), Source.REPLAY, OPENING),
        Quote(
            "RELIANCE.NS",
            Decimal("1400.06"),
            Source.REPLAY,
            OPENING + timedelta(seconds=1, milliseconds=250),
        ),
    ]
    assert all(tick.timestamp.tzinfo is UTC for tick in ticks)


def test_further_columns_are_details_of_the_quotes(tmp_path: Path) -> None:
    header = f"{HEADER.strip()},ask,previous_close,volume,bid\n"

    full, partial, empty = read(
        tmp_path,
        f"{header}2026-11-23 09:15:00,TCS,3000,3000.555,2990,1200,2999.5\n"
        "2026-11-23 09:15:01,TCS,3001,, 2990 ,0,0\n"
        "2026-11-23 09:15:02,TCS,3002,,,,\n",
    )

    assert full.details == QuoteDetails(
        bid=Decimal("2999.50"),
        ask=Decimal("3000.56"),
        previous_close=Decimal("2990.00"),
        volume=1_200,
    )
    assert partial.details == QuoteDetails(previous_close=Decimal("2990.00"), volume=0)
    assert empty.details == NO_DETAILS


@pytest.mark.parametrize(
    ("header", "row", "fault"),
    [
        (",bid", "3000", "line 2: 3 columns instead of 4"),
        (",bid", "3000,cheap", "line 2: 'cheap' is not a number (bid)"),
        (",bid", "3000,NaN", "line 2: 'NaN' is not a number (bid)"),
        (",mood", "3000,1", "line 1: 'mood' is not a known column, or is there twice. Further"),
        (",bid,bid", "3000,1,1", "line 1: 'bid' is not a known column, or is there twice. Further"),
        (",", "3000,", "line 1: '' is not a known column, or is there twice. Further"),
    ],
)
def test_an_unusable_further_column_is_named(
    tmp_path: Path, header: str, row: str, fault: str
) -> None:
    message = refusal(tmp_path, f"{HEADER.strip()}{header}\n2026-11-23 09:15:00,TCS,{row}\n")

    assert message.startswith(f"{tmp_path / 'day.csv'}, {fault}")


def test_a_time_without_a_zone_is_local_time_in_india(tmp_path: Path) -> None:
    (only,) = read(tmp_path, f"{HEADER}2026-11-23 09:15:00,^NSEI,25000\n")

    assert only.timestamp == OPENING


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("2026-11-23T03:45:00Z,AAPL,200", "unknown symbol 'AAPL'"),
        ("yesterday,^NSEI,25000", "Invalid isoformat string: 'yesterday'"),
        ("0001-01-01T00:00:00+05:30,^NSEI,25000", "date value out of range"),
        ("2026-11-23T03:45:00Z,^NSEI,cheap", "'cheap' is not a price"),
        ("2026-11-23T03:45:00Z,^NSEI,", "'' is not a price"),
        ("2026-11-23T03:45:00Z,^NSEI,NaN", "'NaN' is not a price"),
        ("2026-11-23T03:45:00Z,^NSEI,Infinity", "'Infinity' is not a price"),
        ("2026-11-23T03:45:00Z,^NSEI", "2 columns instead of 3"),
        ("2026-11-23T03:45:00Z", "1 columns instead of 3"),
        ("2026-11-23T03:45:00Z,^NSEI,25000,", "4 columns instead of 3"),
        ("2026-11-23T03:45:00Z,^NSEI,25,000", "4 columns instead of 3"),
    ],
)
def test_an_unusable_row_is_named_by_its_line(tmp_path: Path, row: str, fault: str) -> None:
    message = refusal(tmp_path, f"{HEADER}2026-11-23T03:45:00Z,^NSEI,25000\n{row}\n")

    assert message.startswith(f"{tmp_path / 'day.csv'}, line 3: {fault}")


@pytest.mark.parametrize("header", ["", "time,symbol,price\n", "symbol,timestamp,price\n"])
def test_a_file_with_other_columns_is_refused(tmp_path: Path, header: str) -> None:
    message = refusal(tmp_path, f"{header}2026-11-23T03:45:00Z,^NSEI,25000\n")

    assert message.endswith("must begin with the line 'timestamp,symbol,price'.")


def test_a_file_without_ticks_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, HEADER).endswith("holds no ticks.")
    assert "must begin with" in refusal(tmp_path, "")


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_bytes(b"\xff\xfe\x00binary")

    with pytest.raises(RecordingError, match="cannot be read"):
        read_recording(path, load_instruments())


def test_an_unclosed_quotation_mark_is_refused(tmp_path: Path) -> None:
    rows = "2026-11-23T03:45:00Z,^NSEI,25000\n" * 5_000

    assert "cannot be read" in refusal(tmp_path, f'{HEADER}"{rows}')


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read"):
        read_recording(tmp_path / "absent.csv", load_instruments())


UNPRICED = ("0", "0.00", "-0.01", "-25000", "0.004", "1e12", "99999999999999999999")


def test_rows_with_invalid_prices_are_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = "".join(f"2026-11-23T03:45:01Z,^NSEI,{price}\n" for price in UNPRICED)

    with caplog.at_level("WARNING"):
        (only,) = read(tmp_path, f"{HEADER}2026-11-23T03:45:00Z,^NSEI,25000\n{rows}")

    assert only == tick(0, 25_000)
    assert f"skipped {len(UNPRICED)} rows without a possible price" in caplog.text
    assert "the first in line 3" in caplog.text


def test_a_recording_of_only_such_rows_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, f"{HEADER}2026-11-23T03:45:00Z,^NSEI,0\n").endswith("holds no ticks.")


def test_invalid_prices_are_in_neither_ticks_nor_candles() -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(0, 100), tick(1, 0), tick(2, -5), tick(3, 101)], clock)
    clock.advance(60)

    assert prices(feed.poll(["^NSEI"])) == [100, 101]
    (seen,) = feed.candles("^NSEI", OPENING - timedelta(seconds=1), OPENING + timedelta(hours=1))
    assert prices_of(seen)[1:3] == (101, 100)
    for interval in Interval:
        since = OPENING - timedelta(days=1)
        (candle,) = feed.history("^NSEI", interval, since, OPENING + timedelta(days=1))
        assert prices_of(candle)[2:] == (100, 101)


def test_candles_omit_a_single_implausible_tick_and_show_a_confirmed_crash() -> None:
    ticks = [tick(n, price) for n, price in enumerate((100, 1, 101, 50, 51, 52, 50))]
    feed = ReplayFeed(ticks, ManualClock(), max_move=Decimal("0.2"))

    (candle,) = feed.candles("^NSEI", OPENING - timedelta(seconds=1), OPENING + timedelta(hours=1))

    assert prices_of(candle) == (100, 101, 50, 50)


def test_polls_return_the_ticks_that_candles_omit() -> None:
    clock = ManualClock()
    feed = ReplayFeed([tick(0, 100), tick(1, 1)], clock, max_move=Decimal("0.2"))
    clock.advance(5)

    assert prices(feed.poll(["^NSEI"])) == [100, 1]
