"""The quotes of many symbols at once: never waiting, with the error of each name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from flask import Flask
from flask.testing import FlaskClient

from app import services
from app.market_data.quotes import QuoteBoard
from app.market_data.tick_filter import TickFilter
from app.monitor import Monitor
from app.services import KEY
from tests.support.market import ManualClock, RemoteFeed, ScriptedFeed, permissive_filter
from tests.support.quotes import DETAILS, quote
from tests.support.responses import assert_error


def follow(app: Flask, clock: ManualClock, tick_filter: TickFilter | None = None) -> RemoteFeed:
    """Give the application a remote source that does not answer."""
    feed = RemoteFeed(clock)
    feed.is_away = True
    board = QuoteBoard(feed, clock, tick_filter or permissive_filter(clock), fresh_seconds=20)
    services.init_app(app, replace(app.extensions[KEY], feed=feed, quotes=board))
    return feed


def test_quotes_come_in_the_order_of_the_request_and_once_each(
    client: FlaskClient, feed: ScriptedFeed
) -> None:
    feed.set("TCS.NS", 105, DETAILS)

    answer = client.get("/market/quotes?symbols=tcs, nifty,,RELIANCE.NS,TCS.NS")

    assert answer.status_code == 200
    body = answer.get_json()
    assert body["errors"] == []
    assert [each["symbol"] for each in body["quotes"]] == ["TCS.NS", "^NSEI", "RELIANCE.NS"]
    assert body["quotes"][0] == client.get("/market/live/TCS").get_json()
    assert "bid" not in body["quotes"][1]


def test_each_name_without_a_quote_has_an_error_beside_the_quotes(client: FlaskClient) -> None:
    body = client.get("/market/quotes?symbols=NIFTY,NO-SUCH,infy").get_json()

    assert [each["symbol"] for each in body["quotes"]] == ["^NSEI"]
    assert body["errors"] == [
        {
            "symbol": "NO-SUCH",
            "error": "There is no symbol 'NO-SUCH'.",
            "code": "unknown_symbol",
        },
        {
            "symbol": "infy",
            "error": "There is no price for INFY.NS right now. Try again in a few seconds.",
            "code": "market_data_unavailable",
        },
    ]


def test_a_source_that_does_not_answer_is_asked_and_not_waited_for(
    app: Flask, client: FlaskClient, clock: ManualClock
) -> None:
    feed = follow(app, clock)
    board = app.extensions[KEY].quotes
    board.update([quote(105, timestamp=clock.now(), symbol="TCS.NS")])
    clock.advance(60)

    body = client.get("/market/quotes?symbols=TCS,INFY").get_json()

    assert [(each["symbol"], each["age"]) for each in body["quotes"]] == [("TCS.NS", 60.0)]
    assert [each["code"] for each in body["errors"]] == ["market_data_unavailable"]
    # The old price and the unknown one arrive as ticks later.
    assert (feed.asked_aside, feed.waits) == (["TCS.NS", "INFY.NS"], 0)


def test_a_quote_shows_a_price_that_is_not_confirmed(
    app: Flask, client: FlaskClient, clock: ManualClock
) -> None:
    follow(app, clock, TickFilter(clock, max_age=timedelta(minutes=5), max_move=Decimal("0.2")))
    board = app.extensions[KEY].quotes
    for price in (100, 130):
        board.update([quote(price, timestamp=clock.now(), symbol="TCS.NS")])

    (shown,) = client.get("/market/quotes?symbols=TCS").get_json()["quotes"]

    assert shown["price"] == 100.0
    assert (shown["unconfirmed"]["price"], shown["unconfirmed"]["reason"]) == (
        130.0,
        "moved_too_far",
    )


def test_a_hundred_symbols_are_the_most(client: FlaskClient) -> None:
    names = ["NIFTY"] * 100

    assert client.get(f"/market/quotes?symbols={','.join(names)}").status_code == 200
    too_many = client.get(f"/market/quotes?symbols={','.join([*names, 'TCS'])}")
    assert assert_error(too_many, 400, "validation_error") == {
        "symbols": "must be up to 100 symbols with commas between them"
    }
    for query in ("", "?symbols=", "?symbols=,TCS", "?symbols=%20", f"?symbols={'A' * 41}"):
        assert_error(client.get(f"/market/quotes{query}"), 400, "validation_error")
    assert_error(client.get("/market/quotes?symbols=TCS%0A"), 400, "validation_error")


def test_polled_quotes_are_served(
    client: FlaskClient, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    feed.tick("^NSEI", 25_100, DETAILS)
    monitor.run_once()
    clock.advance(3)
    # A price of a stream, without details: high and low follow it.
    feed.tick("^NSEI", 25_200)
    monitor.run_once()

    (shown,) = client.get("/market/quotes?symbols=NIFTY").get_json()["quotes"]

    assert (shown["price"], shown["high"], shown["low"]) == (25_200.0, 25_200.0, 99.5)
    assert (shown["previous_close"], shown["volume"]) == (100.0, 12_500)
    assert not {"bid", "ask"} & shown.keys()
