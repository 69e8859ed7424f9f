"""Splits and dividends that Yahoo reports: one traded share at a time, beside all requests."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from app.domain.corporate_actions import ActionKind, CorporateAction, Ratio
from app.market_data.feeds.live import LiveFeed
from app.market_data.providers.resilience import ResilientSource
from app.market_data.providers.yahoo import YahooSource
from app.models.stored_action import StoredAction
from app.monitor.reported_actions import INTERVAL, ReportedActions
from app.services import now, services
from tests.fakes.yahoo import OUTAGE, FakeYahoo
from tests.support.market import ManualClock

TCS = "TCS.NS"


@pytest.fixture
def variables() -> dict[str, Any]:
    return {"MARKET_DATA": "yahoo"}


@pytest.fixture
def reported(app_context: Flask, source: YahooSource, clock: ManualClock) -> ReportedActions:
    """What Yahoo reports of TCS, which is traded beside an index."""
    parts = services()
    sources = [ResilientSource(source, clock, probe_seconds=30)]
    feed = LiveFeed(sources, parts.instruments, clock, interval_seconds=10)
    parts.polled_symbols.begin_refresh()
    parts.polled_symbols.refresh({TCS, "^NSEI"}, set(), set())
    return ReportedActions(replace(parts, feed=feed))


@pytest.fixture
def paid(yahoo: FakeYahoo, clock: ManualClock) -> datetime:
    """When a dividend of TCS was paid; a split came a day later."""
    paid = clock.now() - timedelta(days=4)
    divided = paid + timedelta(days=1)
    yahoo.set_rows(TCS, "1d", [(day, 100.0, 101.0, 99.0, 100.0) for day in (paid, divided)])
    yahoo.add_dividend(TCS, paid, 5.0)
    yahoo.add_split(TCS, divided, 2, 1)
    return paid


def test_what_is_reported_is_stored_once(
    reported: ReportedActions, paid: datetime, yahoo: FakeYahoo, clock: ManualClock
) -> None:
    reported.step()

    dividend, split = (each.action for each in StoredAction.find_all())
    assert (dividend.kind, dividend.amount) == (ActionKind.DIVIDEND, Decimal("10.00"))
    assert dividend.ex_date == paid.date()
    assert (split.kind, split.ratio) == (ActionKind.SPLIT, Ratio(2, 1))
    requests = len(yahoo.charts())
    reported.step()
    assert len(yahoo.charts()) == requests
    clock.advance(INTERVAL.total_seconds())
    reported.step()
    assert len(yahoo.charts()) > requests
    assert len(StoredAction.find_all()) == 2
    assert StoredAction.find_version() == 1


def test_a_bonus_that_is_loaded_is_not_stored_again_as_a_split(
    reported: ReportedActions, paid: datetime
) -> None:
    ex_date = (paid + timedelta(days=1)).date()
    session = services().calendar.ordinary_session(ex_date)
    bonus = CorporateAction(
        TCS, ex_date, ActionKind.BONUS, session.pre_open, session.open, Ratio(1, 1)
    )
    assert StoredAction.add(bonus, "file", now())

    reported.step()

    kinds = [each.action.kind for each in StoredAction.find_all()]
    assert kinds == [ActionKind.DIVIDEND, ActionKind.BONUS]


def test_a_source_that_fails_stops_nothing(
    reported: ReportedActions, yahoo: FakeYahoo, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    yahoo.failures[TCS] = OUTAGE

    reported.step()

    assert StoredAction.find_all() == []
    assert caplog.records == []
