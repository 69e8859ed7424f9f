"""Pages of trades, and their performance."""

from __future__ import annotations

import pytest

from app.monitor import Monitor
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import TRADE, assert_error, assert_shape, money, text
from tests.support.users import Trader

PERFORMANCE_MONEY = ("active_pnl", "total_pnl", "margin_utilization_abs", "available_margin")


def open_many(trader: Trader, count: int, **order: object) -> list[str]:
    """Open small trades; return their ids, newest first."""
    ids = [
        trader.create_trade(symbol="RELIANCE", **order).get_json()["trade_id"] for _ in range(count)
    ]
    return ids[::-1]


def test_a_list_is_newest_first_with_each_trade_as_create_answers_it(alice: Trader) -> None:
    created = [alice.create_trade(quantity=n, stop_loss=24_000).get_json() for n in (1, 2, 3)]

    answer = alice.get(f"/trades/{alice.client_id}")

    assert answer.status_code == 200
    body = answer.get_json()
    assert set(body) == {"trades", "next_cursor"}
    assert body["next_cursor"] is None
    assert [trade["trade_id"] for trade in body["trades"]] == [
        trade["trade_id"] for trade in reversed(created)
    ]
    for listed, first in zip(body["trades"], reversed(created), strict=True):
        assert_shape(listed, TRADE)
        valued = {"last_price": 25_000.0, "price_time": first["created_at"], "stale": False}
        assert {**first, **valued, "unrealized_pnl": 0.0} == listed


def test_an_active_trade_is_valued_and_a_closed_one_is_not(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    alice.create_trade(quantity=2)
    alice.create_trade(trade_type="SELL", quantity=2)
    closed = alice.create_trade().get_json()
    alice.post(f"/trades/exit/{closed['trade_id']}")
    feed.tick("^NSEI", "25000.75")
    monitor.run_once()

    exited, sold, bought = alice.trades()
    assert (bought["last_price"], bought["unrealized_pnl"], bought["pnl"]) == (25_000.75, 1.5, None)
    assert (sold["last_price"], sold["unrealized_pnl"]) == (25_000.75, -1.5)
    assert (exited["last_price"], exited["unrealized_pnl"], exited["pnl"]) == (None, None, 0.0)


def test_an_active_trade_is_valued_at_its_last_price_until_a_newer_one_arrives(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock, monitor: Monitor
) -> None:
    alice.create_trade()
    clock.advance(1)
    feed.tick("^NSEI", 25_004)
    monitor.run_once()
    feed.set("^NSEI", 0)
    clock.advance(60)

    (trade,) = alice.trades()
    assert (trade["last_price"], trade["unrealized_pnl"]) == (25_004.0, 4.0)
    assert (trade["price_time"], trade["stale"]) == ("2026-11-23T04:00:01.000Z", True)


@pytest.mark.parametrize("limit", [1, 3, 6, 7, 500])
def test_paging_to_the_end_meets_every_trade_once(alice: Trader, limit: int) -> None:
    ids = open_many(alice, 7)

    seen: list[str] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        query = f"?limit={limit}" + (f"&cursor={cursor}" if cursor else "")
        body = alice.get(f"/trades/{alice.client_id}{query}").get_json()
        assert len(body["trades"]) <= limit
        assert body["next_cursor"] is None or text(body["next_cursor"])
        seen += [trade["trade_id"] for trade in body["trades"]]
        cursor = body["next_cursor"]
        pages += 1
    assert seen == ids
    assert pages == -(-7 // limit)


def test_a_trade_opened_meanwhile_does_not_shift_the_pages(alice: Trader) -> None:
    ids = open_many(alice, 4)
    first = alice.get(f"/trades/{alice.client_id}?limit=2").get_json()
    open_many(alice, 3)

    rest = alice.get(f"/trades/{alice.client_id}?limit=50&cursor={first['next_cursor']}").get_json()
    assert [trade["trade_id"] for trade in first["trades"] + rest["trades"]] == ids


@pytest.mark.timeout(20)
def test_a_cursor_far_above_every_trade_is_the_beginning(alice: Trader) -> None:
    ids = open_many(alice, 2)

    for cursor in (3, 10**6, 2**53):
        assert [trade["trade_id"] for trade in alice.trades(f"?cursor={cursor}")] == ids
        assert alice.trades(f"?status=CLOSED&cursor={cursor}") == []


def test_a_page_is_fifty_unless_asked(alice: Trader) -> None:
    open_many(alice, 51)

    body = alice.get(f"/trades/{alice.client_id}").get_json()
    assert len(body["trades"]) == 50
    assert body["next_cursor"] is not None


def test_status_and_symbol_filter_alone_and_together(alice: Trader) -> None:
    (share,) = open_many(alice, 1)
    index = alice.create_trade().get_json()["trade_id"]
    gone = alice.create_trade().get_json()["trade_id"]
    alice.post(f"/trades/exit/{gone}")

    def ids(query: str) -> list[str]:
        return [trade["trade_id"] for trade in alice.trades(query)]

    assert ids("?status=ACTIVE") == [index, share]
    assert ids("?status=CLOSED") == [gone]
    assert ids("?status=STOP_LOSS_HIT") == []
    assert ids("?symbol=%5ENSEI") == [gone, index]
    assert ids("?symbol=nifty") == [gone, index]
    assert ids("?symbol=RELIANCE") == [share]
    assert ids("?symbol=NIFTY&status=ACTIVE") == [index]


def test_a_filtered_list_pages_to_the_end(alice: Trader) -> None:
    old = open_many(alice, 2)
    for _ in range(12):
        alice.create_trade()
    new = open_many(alice, 1)

    first = alice.get(f"/trades/{alice.client_id}?symbol=RELIANCE&limit=2").get_json()
    assert [trade["trade_id"] for trade in first["trades"]] == [new[0], old[0]]
    rest = alice.get(
        f"/trades/{alice.client_id}?symbol=RELIANCE&limit=2&cursor={first['next_cursor']}"
    ).get_json()
    assert [trade["trade_id"] for trade in rest["trades"]] == [old[1]]
    assert rest["next_cursor"] is None


def test_someone_without_trades_or_portfolio_has_an_empty_list(carol: Trader) -> None:
    answer = carol.get(f"/trades/{carol.client_id}")
    assert answer.get_json() == {"trades": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("cursor=0", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=99999999999999999999999", "cursor"),
        ("status=activ", "status"),
        ("status=OPEN", "status"),
        ("status[$ne]=CLOSED", "status[$ne]"),
        ("page=2", "page"),
    ],
)
def test_a_query_that_cannot_be_used_is_refused_by_name(
    deleted_user: Trader, query: str, field: str
) -> None:
    answer = deleted_user.get(f"/trades/deleted?{query}")
    assert set(assert_error(answer, 400, "validation_error")) == {field}


def test_an_unknown_symbol_to_filter_by_is_refused(carol: Trader) -> None:
    answer = carol.get(f"/trades/{carol.client_id}?symbol=NOSUCH")
    assert "symbol" in assert_error(answer, 400, "unknown_symbol")


def test_anothers_trades_and_performance_are_forbidden(alice: Trader, bob: Trader) -> None:
    assert_error(bob.get(f"/trades/{alice.client_id}"), 403, "forbidden")
    assert_error(bob.get(f"/trades/performance/{alice.client_id}"), 403, "forbidden")


def test_performance_of_nothing_is_nothing(alice: Trader) -> None:
    answer = alice.get(f"/trades/performance/{alice.client_id}")

    assert answer.status_code == 200
    assert answer.get_json() == {
        "active_pnl": 0.0,
        "total_pnl": 0.0,
        "margin_utilization_pct": 0.0,
        "margin_utilization_abs": 0.0,
        "available_margin": 100_000.0,
        "equity": 100_000.0,
        "active_trades": 0,
        "closed_trades": 0,
        "winning_trades": 0,
        "win_rate_pct": 0.0,
        "price_time": None,
        "stale": False,
        "stale_symbols": [],
        "unpriced_symbols": [],
    }


def test_performance_values_longs_and_shorts_of_several_symbols(
    alice: Trader, feed: ScriptedFeed, monitor: Monitor
) -> None:
    alice.create_trade(quantity=4)  # long 4 at 25,000
    alice.create_trade(trade_type="SELL", quantity=1)  # short 1 at 25,000
    alice.create_trade(symbol="RELIANCE", trade_type="SELL", quantity=50)  # short at 1,400
    won = alice.create_trade(quantity=2).get_json()
    lost = alice.create_trade(trade_type="SELL", quantity=1).get_json()
    feed.tick("^NSEI", "25010.25")
    monitor.run_once()
    for trade in (won, lost):
        alice.post(f"/trades/exit/{trade['trade_id']}")
    feed.tick("^NSEI", "25020.50")
    feed.tick("RELIANCE.NS", "1401.10")
    monitor.run_once()

    body = alice.get(f"/trades/performance/{alice.client_id}").get_json()

    assert all(money(body[name]) for name in PERFORMANCE_MONEY)
    assert body["active_pnl"] == 6.5  # 4 x 20.50 - 1 x 20.50 - 50 x 1.10
    assert body["total_pnl"] == 10.25  # 2 x 10.25 - 1 x 10.25
    assert body["margin_utilization_abs"] == 39_000.0
    assert body["available_margin"] == 61_010.25
    assert body["margin_utilization_pct"] == 39.0  # of 100,010.25
    assert (body["active_trades"], body["closed_trades"]) == (3, 2)
    assert (body["winning_trades"], body["win_rate_pct"]) == (1, 50.0)
    assert body["active_pnl"] == sum(t["unrealized_pnl"] for t in alice.trades("?status=ACTIVE"))


def test_performance_names_the_symbols_whose_price_is_not_current(
    alice: Trader, feed: ScriptedFeed, clock: ManualClock
) -> None:
    alice.create_trade()
    alice.create_trade(symbol="RELIANCE")
    clock.advance(60)
    feed.set("^NSEI", 25_003)
    feed.set("RELIANCE.NS", 0)

    body = alice.get(f"/trades/performance/{alice.client_id}").get_json()
    assert (body["active_pnl"], body["unpriced_symbols"]) == (3.0, [])
    assert (body["stale"], body["stale_symbols"]) == (True, ["RELIANCE.NS"])
    assert body["price_time"] == "2026-11-23T04:00:00.000Z"


def test_performance_without_a_portfolio_is_a_404(carol: Trader) -> None:
    answer = carol.get(f"/trades/performance/{carol.client_id}")
    assert_error(answer, 404, "portfolio_not_found")
