"""Failures of Yahoo: rate limits, outages, garbage, silence. Every call ends in time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.candle import Interval
from app.market_data.instruments.registry import load_instruments
from app.market_data.providers.base import SourceUnavailable
from app.market_data.providers.yahoo import YahooSource
from config import Settings
from tests.fakes.yahoo import (
    BROKEN_JSON,
    EMPTY_RESULT,
    GARBAGE,
    HANG,
    OUTAGE,
    RATE_LIMIT,
    WRONG_SHAPE,
    Failure,
    FakeYahoo,
)
from tests.support.concurrency import run_concurrently
from tests.support.market import ManualClock
from tests.support.server import free_port
from tests.support.yahoo import NIFTY, TCS, THREE, prices

SCRIPT = Path(__file__).with_name("yahoo_in_a_loop.py")
CONSENT = Failure(302, "", headers={"Location": "/consent"})


def test_a_rate_limit_ends_the_call_and_sets_retry_after(
    yahoo: FakeYahoo, source: YahooSource
) -> None:
    yahoo.failures["*"] = RATE_LIMIT
    with pytest.raises(SourceUnavailable, match="limits our requests") as raised:
        source.fetch(THREE)
    assert raised.value.retry_after == 60

    yahoo.failures["*"] = Failure(429, "", headers={"Retry-After": "120"})
    with pytest.raises(SourceUnavailable) as raised:
        source.candles(TCS, Interval.DAY, yahoo.now - timedelta(days=9), yahoo.now)
    assert raised.value.retry_after == 120


def test_a_rate_limit_of_one_symbol_ends_the_batch(yahoo: FakeYahoo, source: YahooSource) -> None:
    yahoo.failures["M&M.NS"] = RATE_LIMIT
    with pytest.raises(SourceUnavailable) as raised:
        source.fetch(THREE)
    assert raised.value.retry_after == 60

    yahoo.failures["*"] = replace(RATE_LIMIT, delay=0.2)
    asked_before = len(yahoo.charts())
    with pytest.raises(SourceUnavailable):
        source.fetch(list(load_instruments())[:25])
    # The requests that were running, and neither the rest of the batch nor a later one.
    yahoo.failures = {"^NSEI": Failure(delay=1)}
    source.fetch([NIFTY])
    assert len(yahoo.charts()) - asked_before <= 10


@pytest.mark.parametrize("after", ["Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-3", "1e9"])
def test_an_invalid_retry_after_becomes_a_valid_pause(
    yahoo: FakeYahoo, source: YahooSource, after: str
) -> None:
    yahoo.failures["*"] = Failure(429, "", headers={"Retry-After": after})
    with pytest.raises(SourceUnavailable) as raised:
        source.fetch([TCS])
    assert raised.value.retry_after is not None
    assert 1 <= raised.value.retry_after <= 900


def test_a_rate_limited_crumb_does_not_prevent_prices(
    yahoo: FakeYahoo, source: YahooSource
) -> None:
    yahoo.failures["/v1/test/getcrumb"] = RATE_LIMIT
    # yfinance takes the text of this error for a crumb.
    yahoo.crumb = "Too Many Requests\r\n"

    assert len(source.fetch(THREE)) == 3


def test_a_stale_crumb_is_replaced(yahoo: FakeYahoo, source: YahooSource) -> None:
    source.fetch([TCS])
    yahoo.crumb = "another"

    assert prices(source.fetch([TCS])) == {"TCS.NS": Decimal("3000.10")}
    assert yahoo.charts()[-1].query["crumb"] == "another"


def test_an_expired_cookie_is_replaced(yahoo: FakeYahoo, source: YahooSource) -> None:
    source.fetch([TCS])
    yahoo.expire_cookies()
    # Outside Europe there is no consent page.
    yahoo.failures["/consent"] = Failure(200, "<html></html>")

    assert prices(source.fetch([TCS])) == {"TCS.NS": Decimal("3000.10")}


def test_a_refusal_despite_a_new_crumb_is_an_outage(yahoo: FakeYahoo, source: YahooSource) -> None:
    yahoo.failures["TCS.NS"] = Failure(401, '{"finance":{"result":null,"error":{"code":"x"}}}')
    with pytest.raises(SourceUnavailable, match="401"):
        source.fetch([TCS])
    with pytest.raises(SourceUnavailable, match="401"):
        source.candles(TCS, Interval.DAY, yahoo.now - timedelta(days=9), yahoo.now)
    del yahoo.failures["TCS.NS"]

    assert len(source.fetch([TCS])) == 1


@pytest.mark.parametrize(
    "failure",
    [
        OUTAGE,
        GARBAGE,
        BROKEN_JSON,
        WRONG_SHAPE,
        Failure(404, "<html>"),
        Failure(200, "[]"),
        CONSENT,
    ],
    ids=["outage", "garbage", "broken", "shape", "404", "list", "consent"],
)
def test_a_bad_chart_fails_its_symbol_and_the_source_if_all_are_bad(
    yahoo: FakeYahoo, source: YahooSource, failure: Failure
) -> None:
    yahoo.failures["TCS.NS"] = failure
    assert set(prices(source.fetch(THREE))) == {"^NSEI", "M&M.NS"}

    yahoo.failures["*"] = failure
    with pytest.raises(SourceUnavailable) as raised:
        source.fetch(THREE)
    assert raised.value.retry_after is None
    with pytest.raises(SourceUnavailable):
        source.candles(TCS, Interval.MINUTE, yahoo.now - timedelta(hours=1), yahoo.now)


def test_an_empty_result_is_a_symbol_without_a_price(yahoo: FakeYahoo, source: YahooSource) -> None:
    yahoo.failures["TCS.NS"] = EMPTY_RESULT

    assert set(prices(source.fetch(THREE))) == {"^NSEI", "M&M.NS"}
    assert source.candles(TCS, Interval.DAY, yahoo.now - timedelta(days=9), yahoo.now) == []


def test_a_symbol_that_hangs_delays_the_others_for_seconds_only(
    yahoo: FakeYahoo, source: YahooSource
) -> None:
    others = [
        instrument
        for instrument in load_instruments()
        if instrument.symbol not in ("TCS.NS", "^NSEI")
    ][:23]
    for instrument in others:
        yahoo.set_price(instrument.symbol, float(instrument.start_price))
    yahoo.failures["TCS.NS"] = HANG
    source.fetch([NIFTY])

    began = time.monotonic()
    priced = prices(source.fetch([TCS, NIFTY, *others]))
    assert time.monotonic() - began < 10
    assert set(priced) == {"^NSEI", *(instrument.symbol for instrument in others)}


def test_a_call_ends_while_everything_hangs_and_the_next_one_works(
    yahoo: FakeYahoo, source: YahooSource
) -> None:
    source.fetch([NIFTY])
    yahoo.failures["*"] = HANG
    every = list(load_instruments())[:25]

    began = time.monotonic()
    with pytest.raises(SourceUnavailable):
        source.fetch(every, deadline=began + 1)
    assert time.monotonic() - began < 8

    yahoo.failures.clear()
    assert len(source.fetch(THREE)) == 3


def test_no_request_begins_after_the_deadline(yahoo: FakeYahoo, source: YahooSource) -> None:
    week = yahoo.now - timedelta(days=7)
    with pytest.raises(SourceUnavailable):
        source.fetch(THREE, deadline=time.monotonic())
    with pytest.raises(SourceUnavailable):
        source.candles(TCS, Interval.DAY, week, yahoo.now, deadline=time.monotonic())

    assert yahoo.charts() == []


def test_a_slow_yahoo_is_waited_for(yahoo: FakeYahoo, source: YahooSource) -> None:
    yahoo.failures["*"] = Failure(delay=1)

    assert len(source.fetch(THREE)) == 3


@pytest.mark.parametrize("path", ["/", "/v1/test/getcrumb"])
def test_a_failing_cookie_request_does_not_prevent_prices_and_is_paused(
    yahoo: FakeYahoo, source: YahooSource, path: str
) -> None:
    yahoo.failures[path] = HANG
    yahoo.failures["/consent"] = HANG
    assert len(source.fetch(THREE)) == 3
    count = [request.path for request in yahoo.requests].count(path)

    assert len(source.fetch(THREE)) == 3
    assert [request.path for request in yahoo.requests].count(path) == count == 1


def test_a_closed_port_is_an_outage(
    clock: ManualClock, make_settings: Callable[..., Settings]
) -> None:
    source = YahooSource(make_settings(YAHOO_ROOT_URL=f"http://127.0.0.1:{free_port()}"), clock)

    with pytest.raises(SourceUnavailable, match="did not answer"):
        source.fetch(THREE)


def test_a_cookie_request_that_takes_all_the_time_fails_one_call_only(
    yahoo: FakeYahoo, source: YahooSource
) -> None:
    yahoo.failures["/"] = HANG

    with pytest.raises(SourceUnavailable):
        source.fetch(THREE, deadline=time.monotonic() + 1)
    assert len(source.fetch(THREE)) == 3


def test_more_calls_than_connections_end_in_time(yahoo: FakeYahoo, source: YahooSource) -> None:
    source.fetch([NIFTY])
    yahoo.failures["*"] = HANG

    def ask() -> float:
        began = time.monotonic()
        with pytest.raises(SourceUnavailable):
            source.fetch([TCS], deadline=began + 1)
        return time.monotonic() - began

    assert max(run_concurrently([ask] * 12)) < 2


def test_at_most_six_requests_run_at_a_time(yahoo: FakeYahoo, source: YahooSource) -> None:
    yahoo.failures["*"] = Failure(delay=0.2)

    assert [len(quotes) for quotes in run_concurrently([lambda: source.fetch(THREE)] * 6)] == [
        3
    ] * 6
    assert yahoo.max_parallel == 6


def test_without_a_root_url_requests_go_to_yahoo(
    yahoo: FakeYahoo,
    clock: ManualClock,
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A proxy receives the name of the host; this one refuses every tunnel.
    monkeypatch.setenv("https_proxy", yahoo.url)
    with pytest.raises(SourceUnavailable):
        YahooSource(make_settings(), clock).fetch([TCS])

    assert yahoo.tunnels[0] == "fc.yahoo.com:443"
    assert yahoo.tunnels[-1] == "query2.finance.yahoo.com:443"


def test_several_threads_may_fetch_at_the_same_time(yahoo: FakeYahoo, source: YahooSource) -> None:
    answers = run_concurrently([lambda: source.fetch(THREE)] * 8)

    assert [len(answer) for answer in answers] == [3] * 8


def test_verify_describes_the_price(yahoo: FakeYahoo, source: YahooSource) -> None:
    assert source.verify() == "^NSEI at 25000.50, made 2026-11-23 04:00 UTC"


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [(RATE_LIMIT, "wait 60 s"), (OUTAGE, "look at the network"), (GARBAGE, "YAHOO_ROOT_URL")],
)
def test_verify_says_what_to_correct(
    yahoo: FakeYahoo, source: YahooSource, failure: Failure, remedy: str
) -> None:
    yahoo.failures["^NSEI"] = failure
    with pytest.raises(SourceUnavailable, match=remedy):
        source.verify()


def test_verify_without_a_price_is_an_error(yahoo: FakeYahoo, source: YahooSource) -> None:
    del yahoo.metadata["^NSEI"]
    with pytest.raises(SourceUnavailable, match="no price"):
        source.verify()


@pytest.mark.parametrize("mode", ["threading", "eventlet", "gevent"])
def test_the_loop_of_each_async_mode_continues_while_yahoo_hangs(
    yahoo: FakeYahoo, mode: str, tmp_path: Path
) -> None:
    yahoo.failures["TCS.NS"] = HANG
    # This makes yfinance log a warning, and take the error for a crumb.
    yahoo.failures["/v1/test/getcrumb"] = RATE_LIMIT
    yahoo.crumb = "Too Many Requests\r\n"
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), mode, yahoo.url],
        cwd=work,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(home),
            "PYTHONDONTWRITEBYTECODE": "1",
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE")},
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    # The script checks the loop. It must print nothing else, and write no file.
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
    assert [path for folder in (work, home) for path in folder.rglob("*")] == []
