"""The recorder: what it writes is whole, in order, and read again as it was."""

from __future__ import annotations

import gzip
import logging
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.domain.corporate_actions import ActionKind, CorporateAction, Ratio
from app.domain.quote import Quote, QuoteDetails, Source
from app.market_data.feeds.recording import RecordingError, read_recording
from app.market_data.instruments.registry import load_instruments
from app.market_data.recordings import recorder as recorders
from app.market_data.recordings.recorder import Recorder
from app.market_data.tick_filter import TickFilter
from tests.support.market import ManualClock

OPENING = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
DAY = "2026-11-23"
Make = Callable[..., Recorder]
SUFFIXES = pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(OPENING + timedelta(days=1))


@pytest.fixture
def make(clock: ManualClock) -> Iterator[Make]:
    """Make recorders; close their files afterwards."""
    made: list[Recorder] = []

    def make(path: Path, clock: ManualClock = clock, **options: Any) -> Recorder:
        made.append(Recorder(path, clock, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def tick(seconds: float, price: int, source: Source = Source.ANGEL_ONE) -> Quote:
    return Quote("^NSEI", Decimal(price), source, OPENING + timedelta(seconds=seconds))


def record(recorder: Recorder, *ticks: Quote) -> None:
    recorder.record(ticks)
    recorder.flush()


def read(path: Path) -> list[Quote]:
    return read_recording(path, load_instruments()).ticks


def rows(path: Path) -> list[tuple[float, int]]:
    """Return the seconds after the opening, and the price, of each row."""
    return [((quote.timestamp - OPENING).total_seconds(), int(quote.price)) for quote in read(path)]


@SUFFIXES
def test_recorded_ticks_are_read_again_with_all_that_was_known_of_them(
    suffix: str, tmp_path: Path, make: Make
) -> None:
    known = QuoteDetails(bid=Decimal("1399.95"), open=Decimal(1_390), volume=12_000)
    quote = replace(tick(0.25, 1_400), symbol="RELIANCE.NS", details=known)
    recorder = make(tmp_path / f"market{suffix}")
    record(recorder, quote)
    record(recorder, tick(1, 25_000))

    first, second = read(tmp_path / f"market-{DAY}{suffix}")
    assert first == replace(quote, source=Source.REPLAY)
    assert first.details == known
    assert second == replace(tick(1, 25_000), source=Source.REPLAY)
    assert recorder.problem is None
    assert (recorder.written, recorder.lost) == (2, 0)


@SUFFIXES
def test_a_recording_that_was_cut_off_is_readable_and_can_be_continued(
    suffix: str, tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"market-{DAY}{suffix}"
    recorder = make(tmp_path / f"market{suffix}")
    record(recorder, tick(0, 1), tick(1, 2))
    whole = path.stat().st_size
    record(recorder, tick(2, 3))
    recorder.close()
    content = path.read_bytes()
    for size in range(whole + 1, len(content) - 10, 7):
        path.write_bytes(content[:size])
        assert rows(path) == [(0, 1), (1, 2)], f"{size} bytes"
        assert "ends in the middle of a row" in caplog.text
        caplog.clear()
        continued = make(tmp_path / f"market{suffix}")
        record(continued, tick(3, 4))
        continued.close()
        assert rows(path) == [(0, 1), (1, 2), (3, 4)], f"{size} bytes"


def test_each_write_to_a_compressed_recording_is_a_whole_member(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "market.csv.gz"
    recorder = make(path, by_day=False)
    for number in range(1, 4):
        record(recorder, tick(number, number))
        # As another process would read it now, or after this one was killed.
        assert len(gzip.decompress(path.read_bytes()).splitlines()) == number + 1


def test_each_trading_day_in_india_has_a_file(tmp_path: Path, make: Make) -> None:
    midnight = (datetime(2026, 11, 23, 18, 30, tzinfo=UTC) - OPENING).total_seconds()
    recorder = make(tmp_path / "days" / "market.csv")
    record(recorder, tick(midnight - 1, 1), tick(midnight, 2), tick(midnight + 1, 3))

    first, second = sorted((tmp_path / "days").iterdir())
    assert (first.name, second.name) == ("market-2026-11-23.csv", "market-2026-11-24.csv")
    assert [price for _, price in rows(first)] == [1]
    assert [price for _, price in rows(tmp_path / "days")] == [1, 2, 3]


def test_a_late_tick_gets_the_time_of_the_one_before_it(tmp_path: Path, make: Make) -> None:
    recorder = make(tmp_path / "market.csv")
    record(recorder, tick(60, 1), tick(0, 2, Source.YAHOO))
    record(recorder, tick(30, 3))

    assert rows(tmp_path) == [(60, 1), (60, 2), (60, 3)]


def test_a_tick_from_the_future_gets_the_present_time(tmp_path: Path, make: Make) -> None:
    recorder = make(tmp_path / "market.csv", clock=ManualClock(OPENING + timedelta(seconds=5)))
    record(recorder, tick(3_600, 1), tick(1, 2))

    assert rows(tmp_path) == [(5, 1), (5, 2)]


def test_two_recorders_write_two_files(tmp_path: Path, make: Make) -> None:
    recorders = [make(tmp_path / "market.csv") for _ in range(2)]
    for number, recorder in enumerate(recorders):
        record(recorder, tick(number, number + 1))
    for number, recorder in enumerate(recorders):
        record(recorder, tick(2 + number, number + 3))

    names = [f"market-{DAY}.csv", f"market-{DAY}_2.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert sorted(rows(tmp_path)) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_replay_that_starts_again_begins_another_file(tmp_path: Path, make: Make) -> None:
    for _ in range(2):
        recorder = make(tmp_path / "market.csv")
        record(recorder, tick(0, 1, Source.REPLAY), tick(1, 2, Source.REPLAY))
        recorder.close()
    record(make(tmp_path / "market.csv"), tick(2, 3, Source.REPLAY))

    assert rows(tmp_path / f"market-{DAY}.csv") == [(0, 1), (1, 2), (2, 3)]
    assert rows(tmp_path / f"market-{DAY}_2.csv") == [(0, 1), (1, 2)]


def test_a_file_that_is_no_recording_stays_as_it_is(tmp_path: Path, make: Make) -> None:
    names = (f"market-{DAY}.csv", f"market-{DAY}_2.csv")
    for name, text in zip(names, ("mine\n", "timestamp,symbol,price\n"), strict=True):
        (tmp_path / name).write_text(text)
    record(make(tmp_path / "market.csv"), tick(0, 1))

    assert (tmp_path / names[0]).read_text() == "mine\n"
    assert rows(tmp_path / f"market-{DAY}_3.csv") == [(0, 1)]
    one = make(tmp_path / names[0], by_day=False)
    record(one, tick(0, 1))
    assert one.problem == "it is not a recording that can be continued"


def test_a_full_disk_loses_no_tick_if_there_is_room_again_in_time(
    tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    free = [1_000]
    recorder = make(tmp_path / "market.csv", min_free_bytes=500, free=lambda _folder: free[0])
    record(recorder, tick(0, 1))
    free[0] = 499
    record(recorder, tick(1, 2))
    record(recorder, tick(2, 3))
    assert recorder.problem == "No space left on device"
    assert rows(tmp_path) == [(0, 1)]
    free[0] = 500
    record(recorder, tick(3, 4))

    assert rows(tmp_path) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert recorder.written == 4
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert [message.split(":")[0] for message in warnings] == ["recorder", "recorder"]
    assert "cannot be written: No space left on device" in warnings[0]


@SUFFIXES
def test_a_write_that_fails_halfway_leaves_the_file_as_it_was(
    suffix: str, tmp_path: Path, make: Make
) -> None:
    path = tmp_path / f"market-{DAY}{suffix}"
    recorder = make(tmp_path / f"market{suffix}")
    record(recorder, *(tick(number / 10, number + 1) for number in range(20_000)))
    size = path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The system writes ten bytes, and fails then as if the disk were full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
    try:
        record(recorder, tick(10_000, 1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert (recorder.problem, path.stat().st_size) == ("File too large", size)
    record(recorder, tick(10_001, 2))
    assert rows(path)[-3:] == [(1_999.9, 20_000), (10_000, 1), (10_001, 2)]


def test_a_folder_that_cannot_be_made_is_a_problem_and_no_exception(
    tmp_path: Path, make: Make
) -> None:
    (tmp_path / "file").write_text("")
    recorder = make(tmp_path / "file" / "market.csv")
    record(recorder, tick(0, 1))

    assert recorder.problem == "File exists"
    (tmp_path / "file").unlink()
    recorder.flush()
    assert rows(tmp_path / "file") == [(0, 1)]


def test_ticks_beyond_the_queue_are_counted_as_lost(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorders, "MAX_QUEUED", 2)
    recorder = make(tmp_path / "market.csv")
    record(recorder, tick(0, 1), tick(1, 2), tick(2, 3))

    assert rows(tmp_path) == [(0, 1), (1, 2)]
    assert (recorder.written, recorder.lost) == (2, 1)


def test_a_deleted_file_is_made_again(tmp_path: Path, make: Make) -> None:
    recorder = make(tmp_path / "market.csv")
    record(recorder, tick(0, 1))
    (tmp_path / f"market-{DAY}.csv").unlink()
    record(recorder, tick(1, 2))

    assert rows(tmp_path) == [(1, 2)]


def test_a_recorded_jump_needs_no_confirmation(
    tmp_path: Path, clock: ManualClock, make: Make
) -> None:
    record(make(tmp_path / "market.csv"), tick(0, 1_000), tick(1, 500))
    tick_filter = TickFilter(clock, max_age=timedelta.max, max_move=Decimal("0.2"))

    assert [quote.price for quote in tick_filter.admit(read(tmp_path))] == [1_000, 500]


def test_a_corporate_action_is_recorded_once_with_the_first_tick_after_it(
    tmp_path: Path, make: Make
) -> None:
    action = CorporateAction(
        "^NSEI",
        date(2026, 11, 23),
        ActionKind.BONUS,
        OPENING - timedelta(minutes=15),
        OPENING + timedelta(seconds=2),
        Ratio(1, 2),
    )
    others = [
        replace(action, kind=ActionKind.DIVIDEND, ratio=None, amount=Decimal("18.50")),
        replace(action, kind=ActionKind.MERGER, ratio=None, pre_open=action.opens_at),
    ]
    recorder = make(tmp_path / "market.csv", actions=lambda _symbol: [action, *others])
    record(recorder, tick(1, 3), tick(2, 2))
    record(recorder, tick(3, 2))

    recorded = read_recording(tmp_path, load_instruments())
    assert recorded.actions == [action, *others]
    texts = [
        row.split(",")[-2] for row in (tmp_path / f"market-{DAY}.csv").read_text().splitlines()
    ]
    assert texts == [
        "actions",
        "",
        "bonus 1:2 2026-11-23T09:15:02+05:30 2026-11-23T09:00:00+05:30; "
        "dividend 18.50 2026-11-23T09:15:02+05:30 2026-11-23T09:00:00+05:30; "
        "merger 2026-11-23T09:15:02+05:30",
        "",
    ]


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("gift 1:1 2026-11-23T09:15:00+05:30", "gift"),
        ("bonus 2026-11-23T09:15:00+05:30", "a bonus needs the time of its open, with its zone"),
        ("bonus 1:1 2026-11-23T09:15:00", "a bonus needs the time of its open, with its zone"),
        ("split 2 2026-11-23T09:15:00+05:30", "a split needs a ratio such as 1:1"),
    ],
)
def test_an_unusable_action_is_refused_with_its_line(
    tmp_path: Path, field: str, reason: str
) -> None:
    path = tmp_path / "market.csv"
    path.write_text(f"timestamp,symbol,price,actions\n2026-11-23 09:15:00,TCS,3500,{field}\n")

    with pytest.raises(RecordingError, match=f"line 2: .*{reason}"):
        read(path)
