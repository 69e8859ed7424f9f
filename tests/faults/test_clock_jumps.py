"""After jumps of the wall clock, stop-losses still close and no event is sent twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.delivery import Message, Outbox
from app.models import Notification, User
from app.monitor import Monitor
from tests.support.clocks import SettableClock
from tests.support.market import ScriptedFeed
from tests.support.senders import CREDENTIALS
from tests.support.users import Trader, sign_up

BACK = timedelta(hours=-1)
JUMPS = [BACK, timedelta(seconds=-2), timedelta(days=-400), timedelta(hours=30)]


class Mailbox:
    """A sender that records its messages."""

    channel = "email"
    outcome = "sent"

    def __init__(self) -> None:
        self.texts: list[str] = []

    def send(self, user: User, message: Message) -> None:
        self.texts.append(message.text)

    def verify(self) -> None:
        """There is nothing to sign in to."""


@pytest.fixture
def variables() -> dict[str, Any]:
    return CREDENTIALS


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def trader(app: Flask) -> Callable[[], Trader]:
    """Sign in again, because the jump has invalidated the token."""

    def sign_in() -> Trader:
        trader = sign_up(app.test_client())
        trader.open_portfolio()
        return trader

    return sign_in


def events_of(app: Flask, user_id: str) -> list[tuple[int, str]]:
    with app.app_context():
        return [(each.seq, each.type) for each in Notification.find_after(user_id, 0, 10**6)]


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_a_stop_loss_closes_once_whatever_the_clock_says(
    app: Flask,
    trader: Callable[[], Trader],
    feed: ScriptedFeed,
    monitor: Monitor,
    clock: SettableClock,
    jump: timedelta,
) -> None:
    alice = trader()
    assert alice.create_trade(stop_loss=24_900).status_code == 201
    clock.advance(10)
    feed.tick("^NSEI", "24950")
    monitor.run_once()

    clock.set_by(jump)
    clock.advance(10)
    feed.tick("^NSEI", "24899")
    assert monitor.run_once().closed == 1
    clock.advance(10)
    feed.tick("^NSEI", "24898")
    assert monitor.run_once().closed == 0

    assert events_of(app, alice.client_id) == [(1, "trade_created"), (2, "trade_auto_closed")]


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_a_crash_that_is_being_confirmed_is_acted_on(
    trader: Callable[[], Trader],
    feed: ScriptedFeed,
    monitor: Monitor,
    clock: SettableClock,
    jump: timedelta,
) -> None:
    trader().create_trade(stop_loss=24_900)
    feed.tick("^NSEI", "25000")
    monitor.run_once()
    clock.advance(10)
    feed.tick("^NSEI", "15000")
    assert monitor.run_once().closed == 0

    clock.set_by(jump)
    closed = 0
    for price in ("15010", "15020", "15030"):
        clock.advance(10)
        feed.tick("^NSEI", price)
        closed += monitor.run_once().closed

    assert closed == 1


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_each_event_is_delivered_once(
    app: Flask,
    trader: Callable[[], Trader],
    feed: ScriptedFeed,
    clock: SettableClock,
    jump: timedelta,
) -> None:
    mailbox = Mailbox()
    outbox = Outbox(app, clock, [mailbox])
    alice = trader()
    alice.create_trade(symbol="^NSEI")
    outbox.run_once()
    alice.create_trade(symbol="^BSESN")

    clock.set_by(jump)
    feed.set("RELIANCE.NS", 1_400)
    trader().create_trade(symbol="RELIANCE.NS")
    for _ in range(3):
        outbox.run_once()
    # A delivery that was due by the old time is due again when the clock reaches that time.
    assert sum("RELIANCE" in text for text in mailbox.texts) == 1
    clock.set_by(max(-jump, timedelta(0)))
    clock.advance(1)
    for _ in range(3):
        outbox.run_once()

    for symbol in ("NSEI", "BSESN", "RELIANCE"):
        assert sum(symbol in text for text in mailbox.texts) == 1
