"""The export of trades as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from app.models.paging import PASS_SIZE
from app.monitor import Monitor
from app.trades.report_schemas import NOT_EXPORTED, TradesCsv
from app.web.csv_format import format_row
from tests.support.factories import copy_trade
from tests.support.market import ScriptedFeed
from tests.support.responses import assert_error
from tests.support.users import Trader


def rows_of(trader: Trader, query: str = "") -> list[dict[str, str]]:
    answer = trader.get(f"/trades/{trader.client_id}/export.csv{query}")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    return list(csv.DictReader(StringIO(answer.text, newline="")))


def assert_same(row: dict[str, str], trade: dict[str, Any]) -> None:
    """Check that each cell has the value of the view, an empty one for null."""
    assert row.keys() == trade.keys() - NOT_EXPORTED
    for name, cell in row.items():
        value = trade[name]
        is_number = isinstance(value, float) and name != "trailing_pct"
        expected = f"{value:.2f}" if is_number else str(value)
        assert cell == ("" if value is None else expected), name


def test_a_row_has_the_fields_of_the_trade(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    alice.create_trade(quantity=2, target_price=25_001, client_order_id="morning-1")
    alice.create_trade(symbol="RELIANCE", trade_type="SELL", stop_loss=1_500.5)
    feed.tick("^NSEI", "25001.50")
    monitor.run_once()

    rows = rows_of(alice)
    assert [row["symbol"] for row in rows] == ["^NSEI", "RELIANCE.NS"]
    for row, trade in zip(rows, reversed(alice.trades()), strict=True):
        assert_same(row, trade)
    assert (rows[0]["pnl"], rows[0]["closed_at"][-1], rows[1]["pnl"]) == ("2.00", "Z", "")


def test_a_trade_of_every_kind_is_a_row_as_its_view_shows_it(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    limit = {"order_type": "LIMIT", "limit_price": 24_900}
    stop = {"order_type": "STOP", "stop_price": 25_100}
    order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}
    alice.create_trade(**limit)
    cancelled = alice.create_trade(**limit).get_json()["trade_id"]
    alice.post(f"/trades/cancel/{cancelled}")
    alice.create_trade(**limit, time_in_force="IOC")
    in_parts = alice.create_trade(quantity=3).get_json()["trade_id"]
    alice.post(f"/trades/exit/{in_parts}", {"quantity": 1})
    alice.create_trade(trailing_offset=50, trailing_step=5)
    alice.create_trade(trade_type="SELL", trailing_pct=1.5)
    alice.post("/trades/oco", {"orders": [{**order, **limit}, {**order, **stop}]})
    for price in (25_110, 25_040):
        feed.tick("^NSEI", price)
    monitor.run_once()

    rows, trades = rows_of(alice), alice.trades()[::-1]
    assert [row["status"] for row in rows] == [
        *("PENDING", "CANCELLED", "CANCELLED", "ACTIVE", "TRAILING_STOP_HIT", "ACTIVE"),
        *("CANCELLED", "ACTIVE"),
    ]
    for row, trade in zip(rows, trades, strict=True):
        assert_same(row, trade)
    pending, _, at_once, reduced, trailed, _, unfilled, filled = rows
    assert (pending["entry_price"], pending["limit_price"]) == ("", "24900.00")
    assert (at_once["end_reason"], unfilled["end_reason"]) == ("ioc", "oco")
    assert (reduced["open_quantity"], reduced["pnl"], reduced["exit_reason"]) == ("2", "0.00", "")
    assert (trailed["trailing_offset"], trailed["exit_reason"]) == ("50.00", "trailing_stop")
    assert (unfilled["oco_id"], filled["entry_price"]) == (filled["trade_id"], "25110.00")


def test_it_is_a_file_with_a_header_even_without_a_portfolio(carol: Trader) -> None:
    answer = carol.get(f"/trades/{carol.client_id}/export.csv")

    assert answer.text.startswith("trade_id,portfolio,client_order_id,oco_id,rest_trade_id,")
    assert answer.text.count("\r\n") == 1
    assert answer.headers["Content-Disposition"] == "attachment; filename=trades.csv"
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"


def test_status_and_symbol_filter_the_rows(alice: Trader) -> None:
    alice.create_trade()
    alice.create_trade(symbol="RELIANCE")
    closed = alice.create_trade().get_json()["trade_id"]
    alice.post(f"/trades/exit/{closed}")

    assert [row["trade_id"] for row in rows_of(alice, "?status=CLOSED")] == [closed]
    assert [row["symbol"] for row in rows_of(alice, "?status=active")] == ["^NSEI", "RELIANCE.NS"]
    assert [row["symbol"] for row in rows_of(alice, "?symbol=nifty")] == ["^NSEI", "^NSEI"]
    assert [row["status"] for row in rows_of(alice, "?symbol=NIFTY&status=CLOSED")] == ["CLOSED"]


def test_many_trades_are_a_stream_of_batches_each_trade_once(alice: Trader) -> None:
    alice.create_trade()
    count = 2 * PASS_SIZE + 1
    ids = copy_trade(alice.client_id, count)

    answer = alice.get(f"/trades/{alice.client_id}/export.csv", buffered=False)
    parts = answer.response
    assert isinstance(parts, Iterator)
    sizes = [len(part.splitlines()) for part in parts]
    assert sizes == [1, PASS_SIZE, PASS_SIZE, 1]
    assert [row["trade_id"] for row in rows_of(alice)] == list(map(str, ids))


@pytest.mark.parametrize("name", ['=HYPERLINK("//x")', "+1", "-1", "@SUM(A1)", "\uff1dx", "=1,2"])
def test_a_name_is_no_formula_of_a_spreadsheet(alice: Trader, name: str) -> None:
    created = alice.create_trade(client_order_id=name)
    assert created.status_code == 201, created.text

    (row,) = rows_of(alice)
    assert row["client_order_id"] == f"'{name}"


def test_a_negative_amount_stays_a_number(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    lost = alice.create_trade().get_json()["trade_id"]
    feed.tick("^NSEI", 24_990)
    monitor.run_once()
    alice.post(f"/trades/exit/{lost}")

    (row,) = rows_of(alice)
    assert row["pnl"] == "-10.00"


def test_a_name_that_an_earlier_version_stored_is_no_formula_either() -> None:
    assert format_row(["\tx", "=1,2\n3"]) == "'\tx,\"'=1,2\n3\"\r\n"


def test_a_cell_with_a_separator_is_quoted() -> None:
    assert format_row(["a,b", 'say "x"', None, 3]) == '"a,b","say ""x""",,3\r\n'


def test_what_is_not_exported_is_documented() -> None:
    for name in NOT_EXPORTED:
        assert f"`{name}`" in (TradesCsv.__doc__ or "")


def test_a_filter_that_cannot_be_used_is_an_error_before_the_stream(alice: Trader) -> None:
    path = f"/trades/{alice.client_id}/export.csv"
    assert "symbol" in assert_error(alice.get(f"{path}?symbol=NOSUCH"), 400, "unknown_symbol")
    assert "status" in assert_error(alice.get(f"{path}?status=OPEN"), 400, "validation_error")


def test_anothers_export_is_forbidden(alice: Trader, bob: Trader) -> None:
    assert_error(bob.get(f"/trades/{alice.client_id}/export.csv"), 403, "forbidden")
