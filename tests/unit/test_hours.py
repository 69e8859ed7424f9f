"""Market hours: refusals, loading of the calendar, and log messages."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import MarketClosed
from app.market_data.calendar import ExchangeDays, TradingCalendar, load_exchange_days
from config import ConfigurationError, Settings
from tests.support.exchange_time import ist
from tests.support.server import ROOT

OPEN = ist("2026-11-23 11:00")
CLOSED = ist("2026-11-21 11:00")
ANGEL_ONE = {
    "ANGEL_API_KEY": "a-key",
    "ANGEL_CLIENT_CODE": "a-client",
    "ANGEL_PASSWORD": "a-pin",
    "ANGEL_TOTP_SECRET": "A" * 32,
}


def test_trading_is_always_allowed_if_hours_are_ignored() -> None:
    ignored = TradingCalendar(enforced=False)

    assert ignored.trading_allowed(OPEN)
    assert ignored.trading_allowed(CLOSED)
    ignored.require_trading(CLOSED)


def test_trading_is_allowed_while_the_exchange_is_open_if_hours_are_enforced() -> None:
    enforced = TradingCalendar(enforced=True)

    assert enforced.trading_allowed(OPEN)
    assert not enforced.trading_allowed(CLOSED)
    enforced.require_trading(OPEN)


def test_a_refusal_names_the_next_opening_in_india_and_in_utc() -> None:
    with pytest.raises(MarketClosed) as refusal:
        TradingCalendar(enforced=True).require_trading(ist("2026-11-23 15:30"))

    assert refusal.value.code == "market_closed"
    assert refusal.value.message == (
        "The market is closed. It opens on Wednesday, 25 November 2026 at 09:15 IST."
    )
    assert refusal.value.details == {"next_open": ist("2026-11-25 09:15")}


def test_the_status_is_that_of_the_exchange_also_if_hours_are_ignored() -> None:
    assert TradingCalendar(enforced=False).status(OPEN).open
    assert not TradingCalendar(enforced=False).status(CLOSED).open


def test_concurrent_calls_load_the_calendar_once() -> None:
    # Else the load would end before another call could begin one.
    load_exchange_days.cache_clear()
    loads: list[ExchangeDays] = []

    def count_load() -> ExchangeDays:
        loads.append(load_exchange_days())
        return loads[-1]

    calendar = TradingCalendar(enforced=True, load=count_load)
    barrier = threading.Barrier(8)

    def ask() -> bool:
        barrier.wait(30)
        return calendar.trading_allowed(OPEN)

    with ThreadPoolExecutor(8) as pool:
        answers = [each.result(30) for each in [pool.submit(ask) for _ in range(8)]]
    assert answers == [True] * 8
    assert calendar.known_until == loads[0].last_day
    assert len(loads) == 1


def test_ignored_hours_import_nothing_until_the_status_is_read() -> None:
    program = (
        "import sys; from datetime import datetime, UTC\n"
        "from app.market_data.calendar import TradingCalendar\n"
        "calendar = TradingCalendar(enforced=False)\n"
        "assert calendar.trading_allowed(datetime.now(UTC))\n"
        "print({'pandas', 'numpy', 'exchange_calendars'} & set(sys.modules))\n"
        "calendar.status(datetime.now(UTC)); print('pandas' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.stdout.split(), result.stderr) == (["set()", "True"], "")


@pytest.mark.parametrize(("days_before", "notices"), [(15, 0), (10, 1), (-800, 1)])
def test_a_calendar_that_ends_soon_is_logged_once(
    caplog: pytest.LogCaptureFixture, days_before: int, notices: int
) -> None:
    calendar = TradingCalendar(enforced=True)
    ends = calendar.status(OPEN).holidays_known_until
    caplog.clear()
    for _ in range(3):
        calendar.trading_allowed(ist(f"{ends - timedelta(days=days_before)} 11:00"))

    found = [message for message in caplog.messages if "newer exchange_calendars" in message]
    assert len(found) == notices


@pytest.mark.parametrize(
    ("variables", "enforced"),
    [
        ({}, False),
        ({"MARKET_DATA": "simulated"}, False),
        ({"SIMULATED_HOURS": "exchange"}, True),
        ({"SIMULATED_HOURS": "exchange", "MARKET_HOURS": "ignore"}, False),
        ({"MARKET_DATA": "yahoo"}, True),
        ({"MARKET_DATA": "angel_one", **ANGEL_ONE}, True),
        ({"MARKET_DATA": "auto", **ANGEL_ONE}, True),
        ({"MARKET_DATA": "auto", **ANGEL_ONE, "ANGEL_PASSWORD": "demo"}, False),
        ({"MARKET_DATA": "simulated", **ANGEL_ONE}, False),
        ({"MARKET_DATA": "yahoo", "MARKET_HOURS": "ignore"}, False),
        ({"MARKET_DATA": "simulated", "MARKET_HOURS": "Enforce"}, True),
    ],
)
def test_hours_are_enforced_with_real_prices_by_default(
    make_settings: Callable[..., Settings], variables: dict[str, Any], enforced: bool
) -> None:
    assert make_settings(**variables).enforces_market_hours is enforced


def test_an_invalid_market_hours_setting_is_refused(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigurationError, match="MARKET_HOURS"):
        make_settings(MARKET_HOURS="sometimes")
