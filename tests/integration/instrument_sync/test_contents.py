"""`flask instruments sync`: the contents of the new list, and the output of the command."""

from __future__ import annotations

import json
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from app.market_data.instruments.registry import Instruments, load_instruments
from tests.fakes.scrip_master import ScripMasterServer, bse, nse, shipped
from tests.support.instrument_sync import Sync, assert_refused, listed
from tests.support.market import ScriptedFeed
from tests.support.users import Trader


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


def test_a_sync_corrects_shipped_instruments_and_keeps_their_names_and_prices(
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


def test_a_sync_loads_the_freeze_quantities_that_the_list_has(
    sync: Sync, server: ScripMasterServer, known: Instruments
) -> None:
    rows = [{**each, "freeze_qty": "20000"} for each in [*listed(), *shipped()]]
    server.serve([*rows, nse("FREE", 5)])
    sync()

    assert known.get("SHARE1").freeze_quantity == 20_000
    assert known.get("RELIANCE").freeze_quantity == 20_000
    assert known.get("FREE").freeze_quantity is None


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


def test_the_next_sync_reports_added_changed_and_removed_instruments(
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


def test_unusable_rows_are_reported(sync: Sync, server: ScripMasterServer) -> None:
    server.serve([*listed(), {**nse("SBIN", 1), "token": 1}, "a row"])

    assert "2 rows could not be used." in sync().stdout


def test_a_list_can_come_from_a_file(sync: Sync, known: Instruments, tmp_path: Path) -> None:
    path = tmp_path / "master.json"
    path.write_text(json.dumps(listed()))

    result = sync("--file", str(path))

    assert result.exit_code == 0, result.output
    assert known.get("SHARE1099").angel_token == "2099"
    assert_refused(sync("--file", str(tmp_path / "absent.json")), "absent.json cannot be read")


def test_show_finds_instruments_and_suggests_a_sync_without_any(app: Flask, sync: Sync) -> None:
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
