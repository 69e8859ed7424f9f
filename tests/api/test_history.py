"""Candles over HTTP: their range, their form and their feed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.domain.candle import Candle, Interval
from app.domain.errors import MarketDataUnavailable
from app.domain.quote import Quote, Source
from app.market_data.feed import Feed
from app.market_data.feeds.replay import ReplayFeed
from app.market_data.feeds.simulated import SimulatedFeed
from app.market_data.instruments.registry import load_instruments
from app.monitor import Monitor
from config import Settings
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.responses import assert_error

# The clock of the tests shows 04:00 UTC, 09:30 in India.
NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
URL = "/market/history/^NSEI"


@pytest.fixture(autouse=True)
def recorded(feed: ScriptedFeed) -> None:
    """A candle of five minutes, with the next one, from 03:30 to now; a rupee higher each."""
    for number in range(7):
        price = 25_000 + number
        feed.record("^NSEI", NOW - timedelta(minutes=30 - 5 * number), price, price + 9, price - 9)


def times(client: FlaskClient, **query: Any) -> list[str]:
    answer = client.get(URL, query_string=query)
    assert answer.status_code == 200, answer.text
    return [each["time"][11:16] for each in answer.get_json()["candles"]]


def refusal(client: FlaskClient, code: str = "validation_error", **query: Any) -> Any:
    return assert_error(client.get(URL, query_string=query), 400, code)


def test_candles_are_answered_oldest_first_with_their_source(client: FlaskClient) -> None:
    answer = client.get(URL, query_string={"from": "2026-11-23T03:50:00Z"})

    assert answer.status_code == 200
    assert answer.get_json() == {
        "symbol": "^NSEI",
        "interval": "5m",
        "source": "mock",
        "candles": [
            {
                "time": f"2026-11-23T{time}:00.000Z",
                "open": float(price),
                "high": price + 9.0,
                "low": price - 9.0,
                "close": price - 9.0,
            }
            for time, price in (("03:50", 25_004), ("03:55", 25_005), ("04:00", 25_006))
        ],
    }


def test_it_needs_no_token_and_accepts_aliases(client: FlaskClient) -> None:
    bodies = [client.get(f"/market/history/{name}").get_json() for name in ("^NSEI", "nifty")]

    assert bodies[0] == bodies[1]
    assert bodies[1]["symbol"] == "^NSEI"


def test_an_unknown_symbol_is_a_404(client: FlaskClient) -> None:
    assert_error(client.get("/market/history/NOSUCH"), 404, "unknown_symbol")


def test_a_symbol_without_candles_has_an_empty_list_and_no_source(client: FlaskClient) -> None:
    body = client.get("/market/history/TCS.NS").get_json()

    assert body == {"symbol": "TCS.NS", "interval": "5m", "source": None, "candles": []}


def test_each_interval_can_be_asked_for_and_no_other(
    client: FlaskClient, subtests: pytest.Subtests
) -> None:
    for interval in ("1m", "5m", "15m", "1h", "1d"):
        with subtests.test(interval):
            answer = client.get(URL, query_string={"interval": interval})
            assert answer.status_code == 200
            assert answer.get_json()["interval"] == interval
    for interval in ("2m", "1M", "60", "", "1m "):
        with subtests.test(interval):
            assert set(refusal(client, interval=interval)) == {"interval"}


@pytest.mark.parametrize("name", ["from", "to"])
def test_a_time_may_be_written_in_many_ways(
    client: FlaskClient, name: str, subtests: pytest.Subtests
) -> None:
    expected = {"from": ["03:50", "03:55", "04:00"], "to": ["03:30", "03:35", "03:40", "03:45"]}
    for text in (
        "2026-11-23T03:50:00Z",
        "2026-11-23T03:50:00.000Z",
        "2026-11-23T03:50",
        "2026-11-23 03:50:00",
        "2026-11-23T09:20:00+05:30",
        # As a client sends it that forgot to write the plus as %2B.
        "2026-11-23T09:20:00 05:30",
        "2026-11-23t03:50:00z",
        "1795405800",
    ):
        with subtests.test(text):
            assert times(client, **{name: text}) == expected[name]


def test_a_date_is_its_beginning_in_india(client: FlaskClient, feed: ScriptedFeed) -> None:
    feed.record("^NSEI", datetime(2026, 11, 22, 18, 25, tzinfo=UTC), 1)
    feed.record("^NSEI", datetime(2026, 11, 22, 18, 30, tzinfo=UTC), 2)

    assert times(client, **{"from": "2026-11-23"})[0] == "18:30"
    assert times(client, **{"to": "2026-11-23"}) == ["18:25"]


@pytest.mark.parametrize("name", ["from", "to"])
def test_an_invalid_time_is_refused(
    client: FlaskClient, name: str, subtests: pytest.Subtests
) -> None:
    rule = "must be a time in ISO 8601, a date, or seconds since 1970"
    words = ("", "yesterday", "1.5", "\x00", "٣")
    numbers = ("9" * 30, "9" * 5_000)
    for text in (*words, *numbers, "2026-13-01", "2026-11-23T25:00Z"):
        with subtests.test(text[:30]):
            assert refusal(client, **{name: text}) == {name: rule}


@pytest.mark.parametrize("name", ["from", "to"])
def test_a_time_without_a_market_is_refused(
    client: FlaskClient, name: str, subtests: pytest.Subtests
) -> None:
    ends = ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00")
    for text in ("0", "-1", "1989-12-31", *ends):
        with subtests.test(text):
            assert set(refusal(client, "invalid_range", **{name: text})) == {name}


def test_from_must_be_before_to(client: FlaskClient) -> None:
    same = {"from": "2026-11-23T03:00:00Z", "to": "2026-11-23T03:00:00Z"}

    details = refusal(client, "invalid_range", **same)

    assert details == {"from": "must be before `to`, which is 2026-11-23T03:00:00Z"}


def test_too_many_candles_are_refused_with_the_time_that_would_do(client: FlaskClient) -> None:
    details = refusal(client, "invalid_range", **{"from": "2026-01-01", "interval": "1m"})

    assert details == {
        "from": "must be 2026-11-22T11:21:00Z or later: one request returns at most 1,000 candles"
    }
    answer = client.get(URL, query_string={"from": "2026-11-22T11:21:00Z", "interval": "1m"})
    assert answer.status_code == 200


def test_an_end_in_the_future_is_now(client: FlaskClient) -> None:
    assert times(client, **{"from": "2026-11-23T03:50Z", "to": "2027-01-01"}) == [
        "03:50",
        "03:55",
        "04:00",
    ]
    assert times(client, **{"from": "2026-12-01", "to": "2027-01-01"}) == []


def test_an_unknown_parameter_is_refused_by_name(client: FlaskClient) -> None:
    assert set(refusal(client, since="2026-11-23")) == {"since"}
    assert set(refusal(client, limit=5)) == {"limit"}


def test_the_same_request_is_answered_from_the_cache_for_a_while(
    client: FlaskClient, feed: ScriptedFeed, clock: ManualClock
) -> None:
    first = times(client)
    feed.record("^NSEI", NOW - timedelta(minutes=35), 1)

    assert times(client) == first
    clock.advance(6)
    assert times(client) == ["03:25", *first]


class DumbFeed(ScriptedFeed):
    """A market that does not tell of its past now."""

    def history(
        self, symbol: str, interval: Interval, since: datetime, until: datetime
    ) -> list[Candle]:
        raise MarketDataUnavailable("No source has the history right now.")


@pytest.fixture
def serve(
    make_app: Callable[..., Flask],
    make_settings: Callable[..., Settings],
    mongo_uri: str,
    clock: ManualClock,
) -> Callable[[Feed], Flask]:
    """Make an application on another feed. `make_app` clears up after it."""

    def make(feed: Feed) -> Flask:
        return create_app(make_settings(), mongo_uri=mongo_uri, feed=feed, clock=clock)

    return make


def test_a_feed_that_cannot_tell_now_is_a_503_to_be_tried_again(
    serve: Callable[[Feed], Flask], clock: ManualClock
) -> None:
    answer = serve(DumbFeed(clock)).test_client().get(URL)

    assert_error(answer, 503, "market_data_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("interval", Interval)
def test_the_simulated_market_fills_a_chart_at_once(
    serve: Callable[[Feed], Flask], clock: ManualClock, interval: Interval
) -> None:
    app = serve(SimulatedFeed(load_instruments(), clock, seed="7"))
    client = app.test_client()
    price = client.get("/market/live/NIFTY").get_json()["price"]

    body = client.get("/market/history/NIFTY", query_string={"interval": interval}).get_json()

    assert (body["source"], len(body["candles"])) == ("mock", 500)
    assert body["candles"][-1]["close"] == price
    for candle in body["candles"]:
        assert candle["low"] <= min(candle["open"], candle["close"])
        assert candle["high"] >= max(candle["open"], candle["close"])


def test_the_last_candle_closes_at_the_price_that_was_polled_last(
    serve: Callable[[Feed], Flask], clock: ManualClock
) -> None:
    app = serve(SimulatedFeed(load_instruments(), clock, seed="7"))
    client, monitor = app.test_client(), Monitor(app)
    for _ in range(20):
        monitor.run_once()
        price = client.get("/market/live/NIFTY").get_json()["price"]
        candles = client.get("/market/history/NIFTY?interval=1m").get_json()["candles"]
        assert candles[-1]["close"] == price
        clock.advance(10)


def test_a_replay_returns_candles_up_to_its_current_time(
    serve: Callable[[Feed], Flask], clock: ManualClock
) -> None:
    opening = datetime(2025, 4, 1, 3, 45, tzinfo=UTC)
    ticks = [
        Quote("^NSEI", Decimal(100 + n), Source.REPLAY, opening + timedelta(seconds=20 * n))
        for n in range(30)
    ]
    app = serve(ReplayFeed(ticks, clock))
    client, monitor = app.test_client(), Monitor(app)
    clock.advance(130)
    monitor.run_once()

    body = client.get("/market/history/NIFTY?interval=1m").get_json()

    assert body["source"] == "replay"
    assert [(each["time"], each["open"], each["close"]) for each in body["candles"]] == [
        ("2025-04-01T03:45:00.000Z", 100.0, 102.0),
        ("2025-04-01T03:46:00.000Z", 103.0, 105.0),
        ("2025-04-01T03:47:00.000Z", 106.0, 106.0),
    ]
    # Both ends are of recorded time: now is when the recording is, not when it is played.
    later = client.get("/market/history/NIFTY?interval=1m&from=2026-11-23")
    assert_error(later, 400, "invalid_range")
    part = client.get("/market/history/NIFTY?interval=1m&from=2025-04-01T03:46Z&to=2030-01-01")
    assert len(part.get_json()["candles"]) == 2


def test_the_document_names_the_parameters_as_they_are_sent(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    operation = document["paths"]["/market/history/{symbol}"]["get"]
    parameters = {each["name"]: each for each in operation["parameters"]}

    assert set(parameters) == {"symbol", "interval", "from", "to"}
    for name in ("from", "to"):
        assert parameters[name]["in"] == "query"
        assert parameters[name]["required"] is False
        assert parameters[name]["description"]
        kinds = [(e["type"], e.get("format")) for e in parameters[name]["schema"]["anyOf"]]
        assert kinds == [("string", "date-time"), ("string", "date"), ("integer", None)]
    assert "forming" in document["components"]["schemas"]["CandleView"]["description"]


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "1e12"])
def test_a_candle_with_an_invalid_price_is_not_shown(
    client: FlaskClient, feed: ScriptedFeed, price: str
) -> None:
    time = NOW - timedelta(minutes=2)
    good = Decimal(25_000)
    candle = Candle("^NSEI", time, good, good, Decimal(price), good, Source.MOCK)
    feed.past.append(candle)

    answer = client.get(URL)

    assert answer.status_code == 200
    assert min(each["low"] for each in answer.get_json()["candles"]) > 24_000


def test_a_candle_that_contradicts_itself_is_not_shown(
    client: FlaskClient, feed: ScriptedFeed
) -> None:
    low, high = Decimal(24_990), Decimal(25_010)
    time = NOW - timedelta(minutes=2)
    for prices in ((low, high, low, high + 1), (low - 1, high, low, high), (low, low, high, low)):
        feed.past.append(Candle("^NSEI", time, *prices, Source.MOCK))

    assert "03:58" not in times(client)
