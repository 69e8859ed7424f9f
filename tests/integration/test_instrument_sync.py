"""`flask instruments sync`: a new list takes the place of the old one as a whole, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from app.database import collection
from app.market.listing import (
    KNOWN_AFTERWARDS,
    TURN,
    SyncRefused,
    Turn,
    replace_list,
    sync_turn,
)
from app.market_data.instruments import Instruments, load_instruments
from app.market_data.scrip_master import open_file, read_master
from app.memory import StoredListing
from app.models import InstrumentList
from app.runtime import runtime
from tests.fakes.scrip_master import Row, ScripMasterServer, bse, indices, master, nse, shipped
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.together import at_once
from tests.support.users import Trader

Sync = Callable[..., Result]
SIZE = 3_000


@pytest.fixture
def server() -> Iterator[ScripMasterServer]:
    with ScripMasterServer(master(SIZE, 1_200)) as server:
        yield server


@pytest.fixture
def app(make_app: Callable[..., Flask], server: ScripMasterServer) -> Flask:
    return make_app(ANGEL_SCRIP_MASTER_URL=server.url)


@pytest.fixture
def sync(app: Flask) -> Sync:
    """Run the command in this process."""

    def run(*options: str) -> Result:
        return app.test_cli_runner().invoke(args=["instruments", "sync", *options])

    return run


@pytest.fixture
def known(books: Flask) -> Instruments:
    return runtime().instruments


def listed(count: int = 1_100, prefix: str = "SHARE") -> list[Row]:
    """Return rows of shares of NSE, and the indices."""
    return [*indices(), *(nse(f"{prefix}{number}", 1_000 + number) for number in range(count))]


def assert_refused(result: Result, *words: str) -> None:
    """See that a sync failed with words for a person, and left nothing behind."""
    assert result.exit_code == 1, result.output
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    for word in words:
        assert word in result.stderr
    state = collection("market").find_one({"_id": "instruments"}) or {}
    assert set(collection("instruments").distinct("generation")) <= {state.get("generation")}
    assert "holder" not in state


def test_after_a_sync_every_share_can_be_looked_up(sync: Sync, known: Instruments) -> None:
    result = sync()

    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "1,300 shares in a list of 3,000 rows: 1,200 added, 100 changed, 0 removed, 3 kept.\n"
    )
    assert "Reading the list" in result.stderr
    assert "Writing the list" in result.stderr
    assert len(known) == 103 + 1_200
    share = known.get("share1")
    assert (share.symbol, share.exchange, share.angel_token) == ("SHARE1.NS", "NSE", "100002")
    assert known.get("SHARE1.BO").angel_token == "500003"


def test_a_share_that_is_only_on_bse_needs_no_suffix(sync: Sync, known: Instruments) -> None:
    assert known.find("LOCAL9") is None
    sync()

    assert known.get("LOCAL9").symbol == known.get("local9.bo").symbol == "LOCAL9.BO"
    assert known.find("LOCAL9.NS") is None


def test_a_sync_sets_right_what_shipped_and_keeps_its_names_and_prices(
    sync: Sync, known: Instruments
) -> None:
    before = {each.symbol: each for each in load_instruments()}
    sync()

    for row in (each for each in shipped() if each["exch_seg"] == "NSE"):
        symbol = f"{row['name']}.NS"
        assert known.get(symbol).angel_token == row["token"]
        assert known.get(symbol).name == before[symbol].name
        assert known.get(symbol).base_price == before[symbol].base_price
    for index in ("^NSEI", "^NSEBANK", "^BSESN"):
        assert known.get(index) == before[index]


def test_a_synced_share_can_be_found_priced_and_traded(
    sync: Sync, client: FlaskClient, alice: Trader, feed: ScriptedFeed
) -> None:
    sync()
    feed.set("LOCAL9.BO", 250)

    found = client.get("/market/symbols?q=local9&limit=1").get_json()["symbols"]
    assert [each["symbol"] for each in found] == ["LOCAL9.BO"]
    assert found[0]["exchange"] == "BSE"
    assert client.get("/market/live/local9").get_json()["price"] == 250.0
    trade = alice.create_trade(symbol="LOCAL9").get_json()
    assert trade["symbol"] == "LOCAL9.BO"
    assert len(client.get("/market/symbols").get_json()["symbols"]) == 1_303


def test_the_next_sync_tells_what_is_new_changed_and_gone(
    sync: Sync, server: ScripMasterServer
) -> None:
    server.serve(listed(1_100))
    sync()
    rows = listed(1_090)
    rows[-1]["token"] = "77"
    rows[-2]["tick_size"] = "1.000000"
    server.serve([*rows, nse("NEW", 5), bse("NEW", 500_005), bse("OTHER", 500_006)])

    result = sync()

    assert "3 added, 2 changed, 10 removed, 1191 kept".replace("1191", "1,191") in result.stdout
    assert "10 that are no longer listed stay known" in result.stdout
    assert sync().stdout.splitlines()[0].endswith("0 added, 0 changed, 0 removed, 1,196 kept.")


def test_rows_that_cannot_be_used_are_told(sync: Sync, server: ScripMasterServer) -> None:
    server.serve([*listed(), {**nse("SBIN", 1), "token": 1}, "a row"])

    assert "2 rows could not be used." in sync().stdout


def test_a_list_can_come_from_a_file(sync: Sync, known: Instruments, tmp_path: Path) -> None:
    path = tmp_path / "master.json"
    path.write_text(json.dumps(listed()))

    result = sync("--file", str(path))

    assert result.exit_code == 0, result.output
    assert known.get("SHARE1099").angel_token == "2099"
    assert_refused(sync("--file", str(tmp_path / "absent.json")), "absent.json cannot be read")


@pytest.mark.parametrize(
    "spoil",
    [
        {"status": 500},
        {"cut_after": 100_000},
        {"body": b"<html>busy</html>"},
        {"body": b"[]"},
        {"body": b'{"status": false, "data": null}'},
        {"body": json.dumps(["a", 1, None] * 500).encode()},
    ],
    ids=["error", "cut off", "html", "empty", "object", "wrong rows"],
)
def test_a_list_that_is_spoilt_changes_nothing(
    sync: Sync, known: Instruments, server: ScripMasterServer, spoil: dict[str, Any]
) -> None:
    assert sync().exit_code == 0
    before = list(known)
    state = collection("market").find_one({"_id": "instruments"})
    for name, value in spoil.items():
        setattr(server, name, value)

    assert_refused(sync())
    assert_refused(sync("--force"))

    assert (
        collection("market").find_one({"_id": "instruments"})["generation"] == (state["generation"])
    )
    assert list(Instruments((), StoredListing())) == list(Instruments((), StoredListing()))
    known.refresh(0)
    assert list(known) == before


def test_a_list_that_is_too_short_is_refused_unless_forced(
    sync: Sync, known: Instruments, server: ScripMasterServer
) -> None:
    server.serve(listed(999))
    assert_refused(sync(), "only 999 shares", "1,000 at least", "--force")
    assert known.find("SHARE1") is None

    assert sync("--force").exit_code == 0
    assert known.get("SHARE1").is_listed


def test_a_list_of_less_than_half_the_last_one_is_refused_unless_forced(
    sync: Sync, known: Instruments, server: ScripMasterServer
) -> None:
    server.serve(listed(2_100))
    sync()
    server.serve(listed(1_049))
    assert_refused(sync(), "only 1,049 shares", "the one in use has 2,100", "--force")
    assert known.get("SHARE2099").is_listed

    server.serve(listed(1_050))
    assert sync().exit_code == 0


def test_a_share_that_was_removed_is_known_and_not_for_new_trades(
    sync: Sync, server: ScripMasterServer, alice: Trader, feed: ScriptedFeed, client: FlaskClient
) -> None:
    server.serve(listed(1_100))
    sync()
    feed.set("SHARE1099.NS", 100)
    trade = alice.create_trade(symbol="SHARE1099").get_json()
    server.serve(listed(1_099))
    assert "1 removed" in sync().stdout

    assert client.get("/market/live/SHARE1099").status_code == 200
    assert client.get("/market/symbols?q=share1099").get_json()["symbols"] == []
    refusal = alice.create_trade(symbol="SHARE1099")
    assert refusal.status_code == 400
    assert refusal.get_json()["code"] == "unlisted_symbol"
    assert [each["trade_id"] for each in alice.trades("?symbol=SHARE1099")] == [trade["trade_id"]]
    assert alice.post(f"/trades/exit/{trade['trade_id']}").status_code == 200


def test_a_removed_share_is_forgotten_after_a_day_unless_it_has_open_trades(
    sync: Sync,
    known: Instruments,
    server: ScripMasterServer,
    alice: Trader,
    feed: ScriptedFeed,
    clock: ManualClock,
) -> None:
    server.serve(listed(1_100))
    sync()
    feed.set("SHARE1099.NS", 100)
    trade = alice.create_trade(symbol="SHARE1099").get_json()
    server.serve(listed(1_098))
    sync()
    clock.advance(KNOWN_AFTERWARDS.total_seconds() - 1)
    sync()
    assert known.find("SHARE1098") is not None
    clock.advance(1)

    assert "1 that are no longer listed stay known" in sync().stdout
    assert known.find("SHARE1098") is None
    assert known.get("SHARE1099").unlisted_at is not None

    feed.set("SHARE1099.NS", 100)
    alice.post(f"/trades/exit/{trade['trade_id']}")
    sync()
    assert known.find("SHARE1099") is None


def test_a_removed_share_that_comes_back_is_listed_again(
    sync: Sync, known: Instruments, server: ScripMasterServer
) -> None:
    for count in (1_100, 1_099, 1_100):
        server.serve(listed(count))
        result = sync()

    assert "1 added, 0 changed, 0 removed" in result.stdout
    assert known.get("SHARE1099").is_listed


def test_what_shipped_stays_listed_though_the_list_does_not_have_it(
    sync: Sync, known: Instruments, server: ScripMasterServer
) -> None:
    sync()
    server.serve(listed())

    sync()

    assert known.get("RELIANCE").is_listed
    assert known.get("RELIANCE") == load_instruments().get("RELIANCE")


def test_of_two_syncs_at_once_one_is_told_that_another_is_running(
    sync: Sync, server: ScripMasterServer, known: Instruments
) -> None:
    server.stall_after = 10_000
    results: list[Result] = []
    first = threading.Thread(target=lambda: results.append(sync()))
    first.start()
    assert server.stalled.wait(10)

    with pytest.raises(SyncRefused, match="Another sync is running"), sync_turn():
        pass

    server.resume.set()
    first.join()
    assert results[0].exit_code == 0
    known.refresh(0)
    assert known.get("SHARE1").is_listed


def test_a_sync_that_was_killed_keeps_the_next_one_waiting_for_a_minute_only(
    sync: Sync, clock: ManualClock, known: Instruments
) -> None:
    killed = ObjectId()
    assert InstrumentList.claim(killed, clock.now(), TURN) is None
    InstrumentList.write(killed, list(load_instruments()))
    assert "try again in 61 s" in sync().stderr
    clock.advance(TURN.total_seconds())

    assert sync().exit_code == 0
    assert len(known) == 1_303
    assert collection("instruments").distinct("generation") != []
    assert killed not in collection("instruments").distinct("generation")


def test_a_claim_of_a_clock_that_was_wrong_counts_for_nothing(
    sync: Sync, clock: ManualClock
) -> None:
    InstrumentList.claim(ObjectId(), clock.now() + timedelta(days=400), TURN)

    assert sync().exit_code == 0


def test_a_sync_that_stood_still_does_not_undo_the_one_that_took_over(
    books: Flask, clock: ManualClock, tmp_path: Path
) -> None:
    new = _instruments(tmp_path, listed(1_100, "NEW"))
    old = _instruments(tmp_path, listed(1_100, "OLD"))
    with sync_turn() as slow:
        clock.advance(TURN.total_seconds())
        with sync_turn() as fast:
            replace_list(new, fast)
        with pytest.raises(SyncRefused, match="took over"):
            replace_list(old, slow)

    known = load_instruments(StoredListing())
    assert known.find("NEW1") is not None
    assert known.find("OLD1") is None
    with pytest.raises(SyncRefused, match="took over"):
        _kept_late(slow)


def test_a_list_that_is_in_use_stays_though_word_of_it_was_lost(
    books: Flask, clock: ManualClock
) -> None:
    holder = ObjectId()
    InstrumentList.claim(holder, clock.now(), TURN)
    InstrumentList.write(holder, list(load_instruments()))
    assert InstrumentList.publish(holder, 103, clock.now())

    # As the sync does whose last write was answered by a broken connection.
    InstrumentList.release(holder, clock.now())

    stored = InstrumentList.load()
    assert stored is not None
    assert len(stored.instruments) == 103


def test_readers_see_the_old_list_or_the_new_one_and_nothing_between(
    books: Flask, tmp_path: Path
) -> None:
    lists = [_instruments(tmp_path, listed(4_500, prefix)) for prefix in ("ONE", "TWO")]
    with sync_turn() as turn:
        replace_list(lists[0], turn)
    done = threading.Event()
    seen: set[tuple[int, int]] = set()

    def read() -> None:
        while not done.is_set():
            stored = InstrumentList.load()
            assert stored is not None
            tickers = [each.ticker[:3] for each in stored.instruments if each.is_listed]
            seen.add((tickers.count("ONE"), tickers.count("TWO")))

    def replace() -> None:
        try:
            for number in range(6):
                with books.app_context(), sync_turn() as turn:
                    replace_list(lists[(number + 1) % 2], turn, force=True)
        finally:
            done.set()

    at_once([read, read, replace])

    assert seen == {(4_500, 0), (0, 4_500)}


def test_a_list_that_lost_documents_is_not_used_and_can_be_replaced(
    sync: Sync, known: Instruments, caplog: pytest.LogCaptureFixture
) -> None:
    sync()
    collection("instruments").delete_one({})

    assert len(load_instruments(StoredListing())) == 103
    assert "the list could not be read: LookupError" in caplog.text
    known.refresh(0)
    assert len(known) == 1_303

    assert "The list in use is damaged" in sync().stderr
    assert sync("--force").exit_code == 0
    assert len(load_instruments(StoredListing())) == 1_303


def test_show_finds_instruments_and_says_what_to_do_where_there_are_none(
    app: Flask, sync: Sync
) -> None:
    runner = app.test_cli_runner()
    missing = runner.invoke(args=["instruments", "show", "share77"])
    assert missing.exit_code == 1
    assert "instruments sync` loads every share" in missing.stderr
    sync()

    shown = runner.invoke(args=["instruments", "show", "share"]).stdout.splitlines()
    assert shown[0].split() == ["symbol", "name", "tick", "lot", "Angel", "One", "token"]
    assert shown[2].split() == ["SHARE0.NS", "SHARE0", "0.05", "1", "100000"]
    assert len(shown) == 23
    assert shown[-1] == "and 940 more"


def _instruments(folder: Path, rows: list[Row]) -> list[Any]:
    path = folder / "rows.json"
    path.write_text(json.dumps(rows))
    with open_file(path) as file:
        return list(read_master(file).instruments.values())


def _kept_late(turn: Turn) -> None:
    """Have a turn look whether it is still its own, as if time had passed."""
    turn._kept_at -= 100
    turn.keep()
