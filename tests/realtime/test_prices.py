"""Live prices: indices for every socket, other symbols for their subscribers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import services
from app.domain.quote import Source
from app.market_data.instruments.registry import DEFAULT_INDICES
from app.market_data.quotes import QuoteBoard
from app.monitor import Monitor
from app.services import KEY as RUNTIME_KEY
from tests.support.market import ManualClock, RemoteFeed, ScriptedFeed, permissive_filter
from tests.support.quotes import DETAILS, quote
from tests.support.sockets import Socket
from tests.support.users import Trader

Connect = Callable[..., Socket]


@pytest.fixture
def settled(connect: Connect) -> Connect:
    """Connect sockets that have had their first prices."""

    def make(*args: Any, **kwargs: Any) -> Socket:
        socket = connect(*args, **kwargs)
        socket.rest("live_price")
        return socket

    return make


def prices(socket: Socket) -> list[tuple[str, float]]:
    return [(each["symbol"], each["price"]) for each in socket.rest("live_price")]


def test_subscribing_acknowledges_canonical_and_unknown_names(settled: Connect) -> None:
    socket = settled()
    names = ["reliance", "RELIANCE.NS", "Tcs", "tcs.bo", "nifty", "%5ENSEI", "NOSUCH", "", "$ne"]

    answer = socket.call("subscribe", {"symbols": names})

    assert answer == {
        "ok": True,
        "symbols": ["RELIANCE.NS", "TCS.NS", "TCS.BO", "^NSEI"],
        "unknown": ["NOSUCH", "", "$ne"],
    }


def test_a_subscription_begins_with_the_latest_price(settled: Connect) -> None:
    socket = settled()
    socket.call("subscribe", {"symbols": ["RELIANCE", "TCS"]})

    # TCS has no price yet: its first comes with the first poll that has one.
    assert socket.rest("live_price") == [
        {
            "symbol": "RELIANCE.NS",
            "price": 1_400.0,
            "timestamp": "2026-11-23T04:00:00.000Z",
            "age": 0.0,
            "source": "mock",
            "delayed": False,
        }
    ]


def test_a_price_brings_what_its_source_says_of_the_day(
    client: FlaskClient, feed: ScriptedFeed, settled: Connect
) -> None:
    feed.set("TCS.NS", 105, DETAILS)
    rest = client.get("/market/live/TCS").get_json()
    socket = settled()
    socket.call("subscribe", {"symbols": ["TCS"]})

    (price,) = socket.rest("live_price")

    assert (price["change_pct"], price["bid"], price["volume"]) == (5.0, 104.95, 12_500)
    del rest["unconfirmed"]
    assert price == rest


def test_subscribing_to_many_symbols_does_not_wait_for_their_prices(
    app: Flask, clock: ManualClock, settled: Connect, alice: Trader
) -> None:
    feed = RemoteFeed(clock)
    feed.is_away = True
    board = QuoteBoard(feed, clock, permissive_filter(clock), fresh_seconds=20)
    parts = app.extensions[RUNTIME_KEY]
    services.init_app(app, replace(parts, feed=feed, quotes=board))
    symbols = [each.symbol for each in parts.instruments.search("")[:40]]
    board.update([quote(7, symbol=symbols[3])])

    socket = settled(alice.token)
    answer = socket.call("subscribe", {"symbols": symbols})

    assert answer["symbols"] == symbols
    assert prices(socket) == [(symbols[3], 7.0)]
    assert feed.asked == []
    assert set(feed.asked_aside) == {*symbols, *DEFAULT_INDICES} - {symbols[3]}


def test_a_price_says_how_old_it_is_and_whether_its_source_is_late(
    settled: Connect, feed: ScriptedFeed, clock: ManualClock
) -> None:
    feed.source = Source.YAHOO
    feed.set("RELIANCE.NS", 1_401)
    clock.advance(7.25)
    socket = settled()
    socket.call("subscribe", {"symbols": ["RELIANCE"]})

    (price,) = socket.rest("live_price")
    assert (price["source"], price["delayed"], price["age"]) == ("yahoo", True, 7.25)


def test_a_price_goes_to_its_subscribers_alone(
    settled: Connect, feed: ScriptedFeed, monitor: Monitor
) -> None:
    subscriber, other, neither = settled(), settled(), settled()
    subscriber.call("subscribe", {"symbols": ["reliance"]})
    other.call("subscribe", {"symbols": ["TCS"]})
    subscriber.rest("live_price")
    feed.tick("RELIANCE.NS", "1401.35")
    feed.tick("TCS.NS", "3000.10")
    monitor.run_once()

    assert prices(subscriber) == [("RELIANCE.NS", 1_401.35)]
    assert prices(other) == [("TCS.NS", 3_000.1)]
    assert prices(neither) == []


def test_the_indices_go_to_everyone_once_even_when_subscribed(
    settled: Connect, feed: ScriptedFeed, monitor: Monitor, alice: Trader
) -> None:
    sockets = [settled(), settled(alice.token), settled()]
    sockets[0].call("subscribe", {"symbols": ["NIFTY", "^NSEI", "SENSEX"]})
    sockets[1].call("join", {"user_id": alice.client_id})
    sockets[0].rest("live_price")
    feed.tick("^NSEI", 25_001)
    feed.tick("^BSESN", 80_001)
    monitor.run_once()

    for socket in sockets:
        assert prices(socket) == [("^NSEI", 25_001.0), ("^BSESN", 80_001.0)]


def test_the_indices_go_on_after_unsubscribing_from_them(
    settled: Connect, feed: ScriptedFeed, monitor: Monitor
) -> None:
    socket = settled()
    socket.call("subscribe", {"symbols": ["NIFTY"]})
    socket.call("unsubscribe", {"symbols": ["NIFTY"]})
    socket.rest("live_price")
    feed.tick("^NSEI", 25_002)
    monitor.run_once()

    assert prices(socket) == [("^NSEI", 25_002.0)]


def test_a_pass_with_many_ticks_sends_the_last_of_each_symbol(
    settled: Connect, feed: ScriptedFeed, monitor: Monitor
) -> None:
    socket = settled()
    for price in (25_001, 25_009, 25_005):
        feed.tick("^NSEI", price)
    monitor.run_once()
    monitor.run_once()

    assert prices(socket) == [("^NSEI", 25_005.0)]


def test_unsubscribing_stops_the_prices_of_those_symbols_alone(
    settled: Connect, feed: ScriptedFeed, monitor: Monitor
) -> None:
    socket = settled()
    socket.call("subscribe", {"symbols": ["RELIANCE", "TCS"]})
    answer = socket.call("unsubscribe", {"symbols": ["reliance.ns", "NOSUCH"]})
    assert answer == {"ok": True, "symbols": ["RELIANCE.NS"], "unknown": ["NOSUCH"]}
    socket.rest("live_price")
    feed.tick("RELIANCE.NS", 1_402)
    feed.tick("TCS.NS", 3_001)
    monitor.run_once()

    assert prices(socket) == [("TCS.NS", 3_001.0)]


def test_subscribing_twice_brings_a_price_once_and_one_unsubscribe_ends_it(
    settled: Connect, feed: ScriptedFeed, monitor: Monitor
) -> None:
    one, other = settled(), settled()
    for socket in (one, one, other):
        socket.call("subscribe", {"symbols": ["TCS", "tcs"]})
    feed.tick("TCS.NS", 3_001)
    monitor.run_once()
    assert prices(one) == prices(other) == [("TCS.NS", 3_001.0)]

    for _ in range(2):
        assert one.call("unsubscribe", {"symbols": ["TCS"]})["ok"] is True
    feed.tick("TCS.NS", 3_002)
    monitor.run_once()
    assert prices(one) == []
    assert prices(other) == [("TCS.NS", 3_002.0)]


def test_an_invalid_list_is_refused(settled: Connect, subtests: pytest.Subtests) -> None:
    socket = settled()
    bad: list[Any] = [None, 5, True, {}, {"symbols": None}, {"symbols": 5}, [5], "{", "[{"]
    bad += [{"symbols": [5]}, {"symbols": ["NIFTY", None]}, {"symbols": ["x"] * 501}]
    for event in ("subscribe", "unsubscribe"):
        for payload in bad:
            with subtests.test(event=event, payload=repr(payload)[:40]):
                answer = socket.call(event, payload)
                assert set(answer) == {"ok", "error", "code"}
                assert (answer["ok"], answer["code"]) == (False, "validation_error")
    assert socket.call("subscribe", {"symbols": []}) == {"ok": True, "symbols": [], "unknown": []}
