"""What the passes of the monitor and the outbox work on, and how a test makes them."""

from __future__ import annotations

import threading

from flask.testing import FlaskClient

from app.delivery import Outbox
from app.monitor import Monitor
from tests.faults.every_command.cases import trader_with_portfolio
from tests.support.users import Trader


def trader_with_stop_and_alert(client: FlaskClient) -> Trader:
    trader = trader_with_portfolio(client)
    for order in ({"stop_loss": 24_900}, {"target_price": 25_100}, {}):
        assert trader.create_trade(**order).status_code == 201
    alert = {"symbol": "^NSEI", "below": 24_900}
    assert trader.post("/market/alerts", alert).status_code == 201
    return trader


def begin_to_lead(monitor: Monitor) -> None:
    """Make the first pass, and wait for the maintenance that it starts."""
    before = set(threading.enumerate())
    monitor.run_if_leased()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)


def trader_with_events(client: FlaskClient) -> Trader:
    trader = trader_with_portfolio(client)
    for message in ("one", "two"):
        body = {"event": "note", "message": message}
        assert trader.post("/notifications", body).status_code == 200
    return trader


def deliver_all(outbox: Outbox) -> None:
    while outbox.run_once():
        pass


def delivery_states(trader: Trader) -> set[tuple[str, int]]:
    """Return the statuses of the user's deliveries, with their attempts."""
    deliveries = [each for event in trader.notifications() for each in event["deliveries"]]
    return {(each["status"], each["attempts"]) for each in deliveries}
