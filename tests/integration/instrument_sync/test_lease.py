"""`flask instruments sync`: one at a time, and atomic for concurrent readers."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from click.testing import Result
from flask import Flask

from app.database import collection
from app.market_data.instruments.registry import Instruments, load_instruments
from app.market_data.instruments.scrip_master import open_file, read_master
from app.market_data.instruments.sync import (
    LEASE,
    RENEWAL_SECONDS,
    SyncRefused,
    publish,
    read_list,
    sync_lease,
)
from app.models import InstrumentList
from tests.fakes.scrip_master import Row, ScripMasterServer
from tests.support.concurrency import run_concurrently
from tests.support.instrument_sync import Sync, listed
from tests.support.market import ManualClock


def test_a_second_concurrent_sync_is_refused(
    sync: Sync, server: ScripMasterServer, known: Instruments, clock: ManualClock
) -> None:
    server.stall_after = 10_000
    results: list[Result] = []
    first = threading.Thread(target=lambda: results.append(sync()))
    first.start()
    assert server.stalled.wait(10)

    with pytest.raises(SyncRefused, match="Another sync is running"), sync_lease(clock):
        pass

    server.resume.set()
    first.join()
    assert results[0].exit_code == 0
    known.refresh(0)
    assert known.get("SHARE1").is_listed


def test_a_killed_sync_blocks_the_next_one_for_a_minute_only(
    sync: Sync, clock: ManualClock, known: Instruments
) -> None:
    killed = ObjectId()
    assert InstrumentList.claim(killed, clock.now(), LEASE) is None
    InstrumentList.write(killed, list(load_instruments()))
    assert "try again in 61 s" in sync().stderr
    clock.advance(LEASE.total_seconds())

    assert sync().exit_code == 0
    assert len(known) == 1_303
    assert collection("instruments").distinct("generation") != []
    assert killed not in collection("instruments").distinct("generation")


def test_a_lease_from_a_wrong_clock_is_ignored(sync: Sync, clock: ManualClock) -> None:
    InstrumentList.claim(ObjectId(), clock.now() + timedelta(days=400), LEASE)

    assert sync().exit_code == 0


def test_a_suspended_sync_does_not_undo_its_successor(
    app_context: Flask, clock: ManualClock, tmp_path: Path
) -> None:
    new = _instruments(tmp_path, listed(1_100, "NEW"))
    old = _instruments(tmp_path, listed(1_100, "OLD"))
    with sync_lease(clock) as slow:
        clock.advance(LEASE.total_seconds())
        with sync_lease(clock) as fast:
            publish(new, fast)
        with pytest.raises(SyncRefused, match="took over"):
            publish(old, slow)

    known = load_instruments(read_list)
    assert known.find("NEW1") is not None
    assert known.find("OLD1") is None
    clock.advance(RENEWAL_SECONDS)
    with pytest.raises(SyncRefused, match="took over"):
        slow.renew()


def test_an_active_list_stays_also_if_the_reply_was_lost(
    app_context: Flask, clock: ManualClock
) -> None:
    holder = ObjectId()
    InstrumentList.claim(holder, clock.now(), LEASE)
    InstrumentList.write(holder, list(load_instruments()))
    assert InstrumentList.publish(holder, 103, clock.now())

    # As a sync does if the connection breaks at its last write.
    InstrumentList.release(holder, clock.now())

    stored = InstrumentList.load()
    assert stored is not None
    assert len(stored.instruments) == 103


def test_readers_see_either_the_old_list_or_the_new_one(
    app_context: Flask, tmp_path: Path, clock: ManualClock
) -> None:
    lists = [_instruments(tmp_path, listed(4_500, prefix)) for prefix in ("ONE", "TWO")]
    with sync_lease(clock) as lease:
        publish(lists[0], lease)
    done = threading.Event()
    seen: set[tuple[int, int]] = set()

    def read() -> None:
        while not done.is_set():
            stored = InstrumentList.load()
            assert stored is not None
            tickers = [
                instrument.ticker[:3] for instrument in stored.instruments if instrument.is_listed
            ]
            seen.add((tickers.count("ONE"), tickers.count("TWO")))

    def replace() -> None:
        try:
            for number in range(6):
                with app_context.app_context(), sync_lease(clock) as lease:
                    publish(lists[(number + 1) % 2], lease, force=True)
        finally:
            done.set()

    run_concurrently([read, read, replace])

    assert seen == {(4_500, 0), (0, 4_500)}


def _instruments(folder: Path, rows: list[Row]) -> list[Any]:
    path = folder / "rows.json"
    path.write_text(json.dumps(rows))
    with open_file(path) as file:
        return list(read_master(file).instruments.values())
