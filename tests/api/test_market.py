"""Live prices and the list of symbols."""

from __future__ import annotations

from decimal import Decimal

import pytest
from flask.testing import FlaskClient

from app.domain.quote import QuoteDetails, Source
from app.monitor import Monitor
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.quotes import DETAILS
from tests.support.responses import QUOTE, assert_error, assert_shape

NAMES = {
    "^NSEI": [
        *("^NSEI", "%5ENSEI", "%5ensei", "%255ENSEI", "%25255ENSEI", "NIFTY", "nifty", "NIFTY50"),
        *(".NSEI", "NIFTY 50", "Nifty%2050", "nifty%252050", "NIFTY-50", "Nifty_50", "NIFTY+50"),
    ],
    "^BSESN": [
        *("^bsesn", "%5EBSESN", "SENSEX", "Sensex", ".BSESN", "BSE SENSEX"),
        *("S%26P BSE SENSEX", "s&p bse sensex", "S%2526P%2520BSE%2520SENSEX"),
    ],
    "M&M.NS": ["M&M", "M%26M", "m%2526m", "M%26M.NS", "M%2526M.NS"],
    "BAJAJ-AUTO.NS": ["BAJAJ-AUTO", "bajaj%2Dauto"],
    "RELIANCE.NS": ["RELIANCE.NS", "reliance.ns", "RELIANCE", "reliance"],
    "RELIANCE.BO": ["RELIANCE.BO", "reliance.bo"],
    "^NSEBANK": ["BANKNIFTY", "banknifty", "^NSEBANK", "NIFTY BANK", "Nifty Bank", "BANK NIFTY"],
}


def test_a_live_price_is_a_quote_with_its_source_and_time(client: FlaskClient) -> None:
    answer = client.get("/market/live/RELIANCE.NS")

    assert answer.status_code == 200
    assert_shape(answer.get_json(), QUOTE)
    assert answer.get_json() == {
        "symbol": "RELIANCE.NS",
        "price": 1_400.0,
        "timestamp": "2026-11-23T04:00:00.000Z",
        "age": 0.0,
        "source": "mock",
        "delayed": False,
        "unconfirmed": None,
    }


def test_a_live_price_has_what_its_source_says_of_the_day(
    client: FlaskClient, feed: ScriptedFeed
) -> None:
    feed.set("TCS.NS", 105, DETAILS)

    body = client.get("/market/live/TCS").get_json()

    assert body == {
        "symbol": "TCS.NS",
        "price": 105.0,
        "timestamp": "2026-11-23T04:00:00.000Z",
        "age": 0.0,
        "source": "mock",
        "delayed": False,
        "change": 5.0,
        "change_pct": 5.0,
        "bid": 104.95,
        "ask": 105.1,
        "previous_close": 100.0,
        "open": 101.0,
        "high": 106.0,
        "low": 99.5,
        "volume": 12_500,
        "lower_band": 90.0,
        "upper_band": 110.0,
        "unconfirmed": None,
    }


def test_a_fall_since_the_previous_close_is_a_negative_change(
    client: FlaskClient, feed: ScriptedFeed
) -> None:
    feed.set("TCS.NS", "99.99", QuoteDetails(previous_close=Decimal(300)))

    body = client.get("/market/live/TCS").get_json()

    assert (body["change"], body["change_pct"]) == (-200.01, -66.67)


def test_a_price_says_how_old_it_is_and_whether_its_source_is_late(
    client: FlaskClient, feed: ScriptedFeed, clock: ManualClock
) -> None:
    feed.source = Source.YAHOO
    feed.set("TCS.NS", 3_000)
    clock.advance(12.3456)

    body = client.get("/market/live/TCS").get_json()
    assert (body["source"], body["delayed"], body["age"]) == ("yahoo", True, 12.345)

    feed.source = Source.ANGEL_ONE
    feed.set("INFY.NS", 1_500)
    body = client.get("/market/live/INFY").get_json()
    assert (body["source"], body["delayed"], body["age"]) == ("angel_one", False, 0.0)


def test_a_price_from_a_clock_that_is_ahead_of_ours_is_no_seconds_old(
    client: FlaskClient, feed: ScriptedFeed, clock: ManualClock
) -> None:
    clock.advance(5)
    feed.set("TCS.NS", 3_000)
    clock.advance(-5)

    assert client.get("/market/live/TCS").get_json()["age"] == 0.0


def test_every_alias_in_any_case_answers_as_the_canonical_symbol(
    client: FlaskClient, feed: ScriptedFeed, subtests: pytest.Subtests
) -> None:
    feed.set("^NSEBANK", 55_000)
    feed.set("RELIANCE.BO", "1399.95")
    feed.set("M&M.NS", 3_000)
    feed.set("BAJAJ-AUTO.NS", 9_000)
    for symbol, names in NAMES.items():
        for name in names:
            with subtests.test(name):
                answer = client.get(f"/market/live/{name}")
                assert answer.status_code == 200
                assert answer.get_json()["symbol"] == symbol


@pytest.mark.parametrize(
    "name",
    [
        "NOSUCH",
        "RELIANCE.XX",
        "^",
        "%00",
        "%ED%A0%80",
        "NIFTY%0A50",
        "NIFTY%250A50",
        "NIFTY 500",
        "M%",
        "%25",
        "$ne",
        "x" * 500,
        "NIFTY.NS",
    ],
)
def test_an_unknown_symbol_is_a_404(client: FlaskClient, name: str) -> None:
    assert_error(client.get(f"/market/live/{name}"), 404, "unknown_symbol")


def test_a_symbol_without_a_price_is_a_503_to_be_tried_again(client: FlaskClient) -> None:
    answer = client.get("/market/live/TCS.NS")

    assert_error(answer, 503, "market_data_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_price_of_nothing_is_no_price(client: FlaskClient, feed: ScriptedFeed) -> None:
    feed.set("TCS.NS", 0)
    assert_error(client.get("/market/live/TCS.NS"), 503, "market_data_unavailable")


def test_what_the_monitor_polled_is_served_until_it_is_old(
    client: FlaskClient, feed: ScriptedFeed, monitor: Monitor, clock: ManualClock
) -> None:
    feed.tick("^NSEI", 25_100)
    monitor.run_once()
    feed.set("^NSEI", 25_200)
    assert client.get("/market/live/NIFTY").get_json()["price"] == 25_100.0

    clock.advance(60)
    feed.set("^NSEI", 25_200)
    assert client.get("/market/live/NIFTY").get_json()["price"] == 25_200.0


def test_the_symbols_are_the_indices_and_the_nifty_50_on_both_exchanges(
    client: FlaskClient,
) -> None:
    answer = client.get("/market/symbols")

    assert answer.status_code == 200
    body = answer.get_json()
    assert set(body) == {"symbols"}
    symbols = [each["symbol"] for each in body["symbols"]]
    assert {"^NSEI", "^BSESN", "^NSEBANK", "RELIANCE.NS", "RELIANCE.BO"} <= set(symbols)
    assert len(symbols) == len(set(symbols)) == 3 + 2 * 50
    for each in body["symbols"]:
        known = {"symbol", "name", "exchange", "tick_size", "lot_size"}
        of_company = set() if each["symbol"].startswith("^") else {"isin", "sector", "weights"}
        assert set(each) == known | of_company
        assert isinstance(each["tick_size"], float)
        assert each["tick_size"] > 0
        assert isinstance(each["lot_size"], int)
        assert each["exchange"] in ("NSE", "BSE")
        assert each["name"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("reliance", {"RELIANCE.NS", "RELIANCE.BO"}),
        ("Reliance Industries", {"RELIANCE.NS", "RELIANCE.BO"}),
        ("SENSEX", {"^BSESN"}),
        ("nosuchthing", set()),
        (".*", set()),
        ("$ne", set()),
    ],
)
def test_q_searches_symbols_names_and_aliases_as_plain_text(
    client: FlaskClient, query: str, found: set[str]
) -> None:
    answer = client.get("/market/symbols", query_string={"q": query})

    assert answer.status_code == 200
    assert {each["symbol"] for each in answer.get_json()["symbols"]} == found


def test_a_share_has_its_isin_sector_and_index_weights(client: FlaskClient) -> None:
    (found,) = client.get("/market/symbols?q=ril&limit=1").get_json()["symbols"]

    assert found["symbol"] == "RELIANCE.NS"
    assert found["isin"] == "INE002A01018"
    assert found["sector"] == "Oil Gas & Consumable Fuels"
    assert found["weights"] == {"^NSEI": 8.4, "^BSESN": 9.89}


def test_a_limit_leaves_the_best(client: FlaskClient) -> None:
    found = client.get("/market/symbols?q=reliance&limit=1").get_json()["symbols"]

    assert [each["symbol"] for each in found] == ["RELIANCE.NS"]
    assert len(client.get("/market/symbols?limit=500").get_json()["symbols"]) == 103


@pytest.mark.parametrize("limit", ["0", "-1", "501", "x", "1.5"])
def test_an_invalid_limit_is_refused_by_name(client: FlaskClient, limit: str) -> None:
    answer = client.get("/market/symbols", query_string={"limit": limit})

    assert set(assert_error(answer, 400, "validation_error")) == {"limit"}


def test_an_empty_search_lists_them_all(client: FlaskClient) -> None:
    assert client.get("/market/symbols?q=").data == client.get("/market/symbols").data


def test_an_unknown_parameter_is_refused_by_name(client: FlaskClient) -> None:
    details = assert_error(client.get("/market/symbols?query=x"), 400, "validation_error")
    assert set(details) == {"query"}
    long = client.get("/market/symbols", query_string={"q": "x" * 101})
    assert set(assert_error(long, 400, "validation_error")) == {"q"}
