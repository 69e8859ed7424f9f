"""How many commands opening and exiting a trade take: each waits for the database."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from app.models import IdempotencyKey
from app.trades.exits import exit_trade
from app.trades.oco import open_pair
from app.trades.service import open_trade
from tests.support.factories import create_users, limit_order, order, trades_of
from tests.support.faults import recording_commands

BLOCK_MARGIN, INSERT_TRADE = "findAndModify portfolios", "insert trades"
WRITE_EVENT = ["findAndModify inboxes", "insert notifications"]
COMMIT = "commitTransaction 1"


@pytest.fixture(autouse=True)
def trader(app_context: Flask) -> None:
    """Open a trade first: its symbol is marked, and its bounds are wide enough for the next."""
    create_users("alice")
    open_trade("alice", order())
    open_trade("alice", limit_order(24_000))


def key(name: str) -> IdempotencyKey:
    return IdempotencyKey("alice", name, "fingerprint")


def commands_of(work: Callable[[], object]) -> list[str]:
    """Return the commands that `work` sends, each with its collection."""
    with recording_commands() as commands:
        work()
    return [" ".join(map(str, next(iter(command.items())))) for command in commands]


def test_opening_a_trade_takes_five_commands() -> None:
    assert commands_of(lambda: open_trade("alice", order())) == [
        *(BLOCK_MARGIN, INSERT_TRADE, *WRITE_EVENT, COMMIT),
    ]


def test_an_idempotency_key_takes_two_more() -> None:
    assert commands_of(lambda: open_trade("alice", order(), key("k"))) == [
        *("find answers", "insert answers"),
        *(BLOCK_MARGIN, INSERT_TRADE, *WRITE_EVENT, COMMIT),
    ]


def test_a_retry_takes_two_reads() -> None:
    open_trade("alice", order(), key("k"))

    commands = commands_of(lambda: open_trade("alice", order(), key("k")))

    assert commands == ["find answers", "find trades"]


def test_an_order_that_waits_is_counted_with_the_others() -> None:
    assert commands_of(lambda: open_trade("alice", limit_order(24_000))) == [
        *(BLOCK_MARGIN, INSERT_TRADE, "find portfolios", "aggregate trades"),
        *(*WRITE_EVENT, COMMIT),
    ]


def test_a_pair_of_orders_writes_its_events_together() -> None:
    pair = (limit_order(24_000), limit_order(24_100))
    open_pair("alice", pair)

    commands = commands_of(lambda: open_pair("alice", pair, key("k")))

    assert commands[:2] == ["find answers", "insert answers"]
    assert commands[-3:] == [*WRITE_EVENT, COMMIT]


def test_exiting_a_trade_takes_six_commands() -> None:
    (trade, _) = trades_of("alice")

    assert commands_of(lambda: exit_trade("alice", str(trade.id))) == [
        *("find trades", "update trades", "update portfolios"),
        *(*WRITE_EVENT, COMMIT),
    ]
