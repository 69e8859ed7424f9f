"""Reading the scrip master: which rows are shares, and the errors of damaged lists."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.domain.instrument import Instrument
from app.market_data.instruments.scrip_master import (
    MasterContent,
    ScripMasterError,
    download,
    open_file,
    read_master,
)
from tests.fakes.scrip_master import Row, ScripMasterServer, bse, indices, nse, row

Read = Callable[..., MasterContent]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write these rows to a file, and read it."""

    def read_rows(*rows: Any) -> MasterContent:
        path = tmp_path / "master.json"
        path.write_text(json.dumps(rows))
        with open_file(path) as file:
            return read_master(file)

    return read_rows


@pytest.fixture
def server() -> Iterator[ScripMasterServer]:
    rows = [*indices(), *(nse(f"SHARE{number}", number + 1) for number in range(2_000))]
    with ScripMasterServer(rows) as server:
        yield server


def fetch(server: ScripMasterServer, **options: float) -> MasterContent:
    with download(server.url, **options) as file:
        return read_master(file)


def spoil(**changes: Any) -> Row:
    """Return a row of SBIN with some fields replaced."""
    return {**nse("SBIN", 3045), **changes}


def only(content: MasterContent) -> Instrument:
    (instrument,) = content.instruments.values()
    return instrument


def test_a_share_of_each_exchange_is_read_with_its_prices_in_rupees(read: Read) -> None:
    content = read(nse("RELIANCE", 2885, tick_size="10.000000"), bse("RELIANCE", 500325))

    assert content.instruments == {
        "RELIANCE.NS": Instrument("RELIANCE.NS", "RELIANCE", "NSE", Decimal("0.10"), 1, "2885"),
        "RELIANCE.BO": Instrument("RELIANCE.BO", "RELIANCE", "BSE", Decimal("0.05"), 1, "500325"),
    }
    assert (content.rows, content.shares, content.unusable) == (2, 2, 0)


def test_the_freeze_quantity_of_a_list_that_has_it_is_read(read: Read) -> None:
    assert only(read(nse("SBIN", 3045, freeze_qty="1800"))).freeze_quantity == 1_800
    assert only(read(nse("SBIN", 3045, freeze_qty="1800.000000"))).freeze_quantity == 1_800


@pytest.mark.parametrize("text", ["", "0", "-1", "0.5", "many", "NaN", "Infinity", None, [1]])
def test_an_impossible_freeze_quantity_is_unknown(read: Read, text: Any) -> None:
    assert only(read(nse("SBIN", 3045, freeze_qty=text))).freeze_quantity is None


@pytest.mark.parametrize("series", ["EQ", "BE", "BZ", "SM", "ST", "SZ", "E1", "X1"])
def test_every_series_of_shares_is_read(read: Read, series: str) -> None:
    assert only(read(nse("SMALL", 7, series, lotsize="1200"))).symbol == "SMALL.NS"
    assert only(read(nse("SMALL", 7, series, lotsize="1200"))).lot_size == 1_200


@pytest.mark.parametrize(
    "other",
    [
        nse("679AP34", 1004, "SG"),
        nse("GOLDBOND", 5, "GB"),
        nse("BLOCK", 6, "BL"),
        row("26000", "NIFTY", "NIFTY", "NSE"),
        row("1", "SENSEX", "SENSEX", "BSE"),
        row("99926004", "Nifty 500", "NIFTY 500", "NSE", "AMXIDX"),
        row("2", "Nifty 50", "NIFTY", "CDS", "AMXIDX"),
        row("35001", "SBIN29DEC26FUT", "SBIN", "NFO", "FUTSTK"),
        row("574841", "GOLDPETAL30NOV26FUT", "GOLDPETAL", "MCX", "FUTCOM"),
        bse("775IGT28", 958219),
        bse("751GS28", 800123),
        bse("8PREF", 717501),
        nse("011NSETEST", 9),
    ],
    ids=lambda other: other["symbol"],
)
def test_other_instruments_are_skipped(read: Read, other: Row) -> None:
    content = read(nse("SBIN", 3045), other)

    assert set(content.instruments) == {"SBIN.NS"}
    assert content.unusable == 0


def test_a_share_with_derivatives_on_either_exchange_has_them_on_both(read: Read) -> None:
    content = read(
        nse("SBIN", 3045),
        bse("SBIN", 500112),
        nse("SMALL", 7),
        bse("LARGE", 500001),
        row("35001", "SBIN29DEC26FUT", "SBIN", "NFO", "FUTSTK"),
        row("35002", "LARGE29DEC26100CE", "LARGE", "BFO", "OPTSTK"),
        row("35003", "NIFTY29DEC26FUT", "NIFTY", "NFO", "FUTIDX"),
    )

    has_derivatives = {each.symbol: each.has_derivatives for each in content.instruments.values()}
    assert has_derivatives == {
        "SBIN.NS": True,
        "SBIN.BO": True,
        "SMALL.NS": False,
        "LARGE.BO": True,
    }


def test_a_list_without_derivatives_does_not_say_which_shares_have_them(read: Read) -> None:
    assert only(read(nse("SBIN", 3045))).has_derivatives is None


def test_partly_paid_shares_are_shares(read: Read) -> None:
    assert only(read(bse("AIRTELPP", 890157))).symbol == "AIRTELPP.BO"


def test_a_ticker_may_hold_more_than_letters(read: Read) -> None:
    content = read(nse("M&M", 1), nse("BAJAJ-AUTO", 2), nse("20MICRONS", 3), bse("SUN$", 500001))

    assert set(content.instruments) == {"M&M.NS", "BAJAJ-AUTO.NS", "20MICRONS.NS", "SUN.BO"}


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_series_of_a_share_the_one_with_rolling_settlement_is_kept(
    read: Read, order: int
) -> None:
    rows = [nse("SBIN", 1, "BE"), nse("SBIN", 2, "EQ"), nse("SBIN", 3, "BZ")][::order]

    assert only(read(*rows)).angel_token == "2"


def test_our_indices_are_read_for_their_tokens(read: Read) -> None:
    tokens = {symbol: each.angel_token for symbol, each in read(*indices()).instruments.items()}

    assert tokens == {"^NSEI": "99926000", "^NSEBANK": "99926009", "^BSESN": "99919000"}


@pytest.mark.parametrize(
    ("paise", "rupees"),
    [
        ("1.000000", "0.01"),
        ("5", "0.05"),
        ("10.000000", "0.10"),
        ("500", "5.00"),
        ("0.000000", "0.01"),
        ("0.25", "0.01"),
        ("-5", "0.01"),
        ("NaN", "0.01"),
        ("Infinity", "0.01"),
        ("1e30", "0.01"),
        ("five", "0.01"),
        ("", "0.01"),
    ],
)
def test_an_invalid_tick_size_becomes_a_paisa(read: Read, paise: str, rupees: str) -> None:
    assert only(read(nse("SBIN", 1, tick_size=paise))).tick_size == Decimal(rupees)


@pytest.mark.parametrize("lot", ["0", "-1", "", "many", "NaN", "Infinity", "1e99"])
def test_an_invalid_lot_size_becomes_one(read: Read, lot: str) -> None:
    assert only(read(nse("SBIN", 1, lotsize=lot))).lot_size == 1


@pytest.mark.parametrize(
    "spoilt",
    [
        spoil(token=1),
        spoil(token=None),
        spoil(token=""),
        spoil(token="12 or 1=1"),
        spoil(symbol=None),
        spoil(symbol=["SBIN-EQ"]),
        spoil(name=7),
        spoil(tick_size=None),
        spoil(lotsize={}),
        spoil(exch_seg=[]),
        nse("SB IN", 1),
        nse("$WHERE", 1),
        nse("S" * 40, 1),
        {"exch_seg": "NSE", "symbol": "SBIN-EQ"},
        {},
        "a row",
        7,
        None,
        [],
    ],
    ids=repr,
)
def test_an_unusable_row_is_counted_and_skipped(read: Read, spoilt: Any) -> None:
    content = read(spoilt, nse("TCS", 11536))

    assert set(content.instruments) == {"TCS.NS"}
    assert (content.rows, content.unusable) == (2, 1)


@pytest.mark.parametrize("name", ["", "  ", "x\ny", "\x00", "n" * 200])
def test_an_unprintable_name_is_replaced_by_the_symbol(read: Read, name: str) -> None:
    assert only(read(spoil(name=name))).name == "SBIN.NS"


@pytest.mark.parametrize(
    "text", ["", "<html>busy</html>", "[", '[{"token": "1"', "[{}],", '[{"token": "\x01"}]', "]"]
)
def test_incomplete_json_is_reported(tmp_path: Path, text: str) -> None:
    path = tmp_path / "master.json"
    path.write_text(text)

    with open_file(path) as file, pytest.raises(ScripMasterError, match="cut off or damaged"):
        read_master(file)


@pytest.mark.parametrize("text", ["[]", "{}", "null", '{"status": false, "data": []}', '["a"]'])
def test_json_that_is_not_a_list_of_instruments_is_reported(tmp_path: Path, text: str) -> None:
    path = tmp_path / "master.json"
    path.write_text(text)

    with open_file(path) as file, pytest.raises(ScripMasterError, match="not a scrip master"):
        read_master(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent.json"
    with pytest.raises(ScripMasterError, match=r"absent\.json cannot be read: No such file"):
        open_file(path).__enter__()


def test_a_list_is_read_over_http_with_progress(server: ScripMasterServer) -> None:
    progress: list[int] = []
    with download(server.url) as file:
        file.on_progress = progress.append
        content = read_master(file)

    assert content.shares == 2_000
    assert sum(progress) == file.size == len(server.body)
    assert len(progress) > 3


def test_a_list_may_be_compressed_and_without_a_length(server: ScripMasterServer) -> None:
    server.packed = True
    assert fetch(server).shares == 2_000
    server.sends_length = False
    assert fetch(server).shares == 2_000
    server.packed = False
    with download(server.url) as file:
        assert file.size is None
        assert read_master(file).shares == 2_000


@pytest.mark.parametrize("sends_length", [True, False])
def test_a_truncated_list_is_reported(server: ScripMasterServer, sends_length: bool) -> None:
    server.sends_length = sends_length
    server.cut_after = len(server.body) // 2

    with pytest.raises(ScripMasterError, match=r"broke off|cut off"):
        fetch(server)


def test_a_silent_server_causes_a_timeout(server: ScripMasterServer) -> None:
    server.stall_after = len(server.body) // 2
    started = time.monotonic()

    with pytest.raises(ScripMasterError, match=r"broke off \(it took too long\)"):
        fetch(server, read_seconds=0.3)

    assert time.monotonic() - started < 5


def test_an_error_of_the_server_is_reported_with_its_status(
    server: ScripMasterServer,
) -> None:
    server.status = 503
    with pytest.raises(ScripMasterError, match=r"127\.0\.0\.1 answered 503 and no list"):
        fetch(server)


def test_an_unreachable_server_is_reported_without_its_full_url() -> None:
    with pytest.raises(ScripMasterError) as refusal:
        download("http://user:a-password@127.0.0.1:9/list?token=a-token").__enter__()

    assert str(refusal.value) == "127.0.0.1 does not answer (ConnectionError)."


def test_the_content_type_of_the_list_does_not_matter(server: ScripMasterServer) -> None:
    server.content_type = "text/html"
    assert fetch(server).shares == 2_000
    server.body = b"<html>Down for maintenance</html>"
    with pytest.raises(ScripMasterError, match="cut off or damaged after row 0"):
        fetch(server)
