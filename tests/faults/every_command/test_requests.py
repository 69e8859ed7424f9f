"""Each command of each request fails once, in each way that MongoDB can fail it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.portfolio.reconciliation import find_differences
from tests.faults.every_command.cases import (
    COMMANDS,
    RETRY_SECONDS,
    TURNS,
    counted,
    each_fault,
    trader_with_portfolio,
)
from tests.support.account_operations import ACCOUNT_OPERATIONS
from tests.support.bounds import assert_bounds_hold
from tests.support.faults import FaultyDatabase, recording_commands
from tests.support.operations import OPERATIONS, Request, outcome
from tests.support.users import Trader

# What a repeated request finds that has no key and was done the first time.
DONE_BEFORE = {
    "register": 409,
    **dict.fromkeys(("delete_alert", "end_session", "delete_api_key", "delete_webhook"), 404),
    "log_out": 401,
    "change_password": 403,
}
ALL_OPERATIONS = (*OPERATIONS, *ACCOUNT_OPERATIONS)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("operation", ALL_OPERATIONS, ids=lambda each: each.__name__)
def test_a_fault_at_any_command_leaves_what_no_fault_leaves(
    faulty: FaultyDatabase,
    app: Flask,
    client: FlaskClient,
    operation: Callable[[Trader], Request],
    turn: int,
) -> None:
    trader = trader_with_portfolio(client)
    request = operation(trader)
    with recording_commands() as recorded:
        assert request().status_code < 300
    expected = outcome(trader)

    number = turn + ALL_OPERATIONS.index(operation)
    for position, where, fault in each_fault(counted(recorded), number):
        trader = trader_with_portfolio(client)
        request = operation(trader)
        with faulty.failing(*COMMANDS, skip=position, times=1, **fault):
            response = request()
        assert response.status_code < 300 or response.status_code == 503, (where, response.text)
        if response.status_code == 503:
            response = retry(request)
            done_before = DONE_BEFORE.get(operation.__name__)
            assert response.status_code in (200, 201, 204, done_before), (where, response.text)
        assert outcome(trader) == expected, where
        with app.app_context():
            assert find_differences(trader.client_id) == [], where
        assert_bounds_hold()


def retry(request: Request) -> TestResponse:
    """Repeat the request until the database is available."""
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        response = request()
        if response.status_code != 503 or time.monotonic() > deadline:
            return response
