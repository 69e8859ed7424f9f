"""Data of an earlier version: brought into today's shape whole, whatever comes between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask

from app.database import collection, migrations
from app.database.migrations import UnusableData
from app.models import Inbox, Notification, Preferences
from app.portfolio.reconciliation import find_differences
from app.trades.exits import exit_trade
from app.trades.service import open_trade
from tests.support.books import draft, enlist, notify, order, trades_of
from tests.support.ledger import documents, everything
from tests.support.together import at_once

pytestmark = pytest.mark.usefixtures("books")

ExpectedBalances = dict[str, list[dict[str, Any]]]
USERS = ("alice", "bob", "carol")


@pytest.fixture
def before(books: Flask) -> ExpectedBalances:
    """Books with something in each field, put into shape 1; what they were in today's."""
    enlist(*USERS)
    for user_id in USERS:
        closed = open_trade(user_id, order(quantity=2))
        exit_trade(user_id, str(closed.id))
        open_trade(user_id, order("RELIANCE.NS", stop_loss=1_000))
    notify(draft("bob"))
    collection("inboxes").update_one(
        {"_id": "bob"}, {"$set": {"preferences": Preferences(sms=False).to_document()}}
    )
    now = everything()
    _put_into_shape_1()
    return now


def _put_into_shape_1() -> None:
    for inbox in documents("inboxes"):
        client_id = inbox.pop("_id")
        collection("users").update_one({"client_id": client_id}, {"$set": inbox})
    collection("inboxes").drop()
    portfolios = documents("portfolios")
    collection("portfolios").drop()
    collection("portfolios").create_index("user_id", unique=True)
    for portfolio in portfolios:
        portfolio_id, user_id = portfolio.pop("portfolio_id"), portfolio.pop("_id")
        collection("portfolios").insert_one({"_id": portfolio_id, "user_id": user_id, **portfolio})
    collection("schema").drop()


def test_everything_of_shape_1_is_there_in_todays(before: ExpectedBalances) -> None:
    migrations.migrate()

    assert everything() == before
    assert Inbox.find("bob") == Inbox("bob", 4, 4, Preferences(sms=False))
    assert [find_differences(user_id) for user_id in USERS] == [[], [], []]


def test_trading_goes_on_where_it_was(before: ExpectedBalances) -> None:
    migrations.migrate()

    open_trade("alice", order())

    assert sorted(each.number for each in trades_of("alice")) == [1, 2, 3]
    assert [each.seq for each in Notification.find_after("alice", 0, 9)] == [1, 2, 3, 4]
    assert find_differences("alice") == []


def test_no_index_is_left_that_each_change_would_have_to_write(before: ExpectedBalances) -> None:
    migrations.migrate()

    for name in ("portfolios", "inboxes"):
        assert list(collection(name).index_information()) == ["_id_"]


def test_one_that_is_cut_short_anywhere_is_gone_on_with(
    before: ExpectedBalances, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "BATCH_SIZE", 1)
    run, starts = migrations.run_transaction, 0
    while documents("schema") == []:
        starts += 1
        # Each start moves one document and is then killed.
        moved = iter([True])

        def once(*arguments: Any, moved: Iterator[bool] = moved, **options: Any) -> None:
            if not next(moved, False):
                raise Killed
            run(*arguments, **options)

        monkeypatch.setattr(migrations, "run_transaction", once)
        with suppress(Killed):
            migrations.migrate()

    assert starts == 2 * len(USERS)
    assert everything() == before


def test_processes_that_start_at_once_share_the_work(
    books: Flask, before: ExpectedBalances, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "BATCH_SIZE", 1)

    def migrate() -> None:
        with books.app_context():
            migrations.migrate()

    at_once([migrate] * 4)

    assert everything() == before


def test_it_is_done_once(before: ExpectedBalances, monkeypatch: pytest.MonkeyPatch) -> None:
    migrations.migrate()
    monkeypatch.setattr(migrations, "STEPS", {})

    migrations.migrate()

    assert everything() == before


def test_a_server_does_it_as_it_starts(
    before: ExpectedBalances, make_app: Callable[[], Flask]
) -> None:
    with make_app().app_context():
        assert everything() == before


def test_new_data_is_in_todays_shape_from_the_beginning() -> None:
    assert documents("schema") == [{"_id": "version", "number": migrations.VERSION}]


def test_data_of_a_later_version_is_left_alone(before: ExpectedBalances) -> None:
    later = migrations.VERSION + 1
    collection("schema").insert_one({"_id": "version", "number": later})
    found = everything()

    with pytest.raises(UnusableData, match=f"in shape {later}.*Update it"):
        migrations.migrate()

    assert everything() == found


def test_a_command_leaves_the_data_of_an_earlier_version_to_the_server(
    before: ExpectedBalances,
) -> None:
    found = everything()

    with pytest.raises(UnusableData, match="start this one once"):
        migrations.migrate(for_command=True)

    assert everything() == found


class Killed(Exception):
    """What stands for the end of the process."""
