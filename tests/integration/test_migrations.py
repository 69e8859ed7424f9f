"""Data of an earlier version: migrated whole, whatever interrupts the migration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from operator import itemgetter
from typing import Any

import pytest
from flask import Flask

from app.alerts.service import set_alert
from app.database import Document, migrations
from app.database.indexes import create_indexes
from app.database.migrations import UnusableData
from app.models import Alert, Inbox, Notification, Preferences, Trade
from app.portfolio.reconciliation import find_differences
from app.trades.exits import exit_trade
from app.trades.service import open_trade
from tests.support.concurrency import run_concurrently, run_in_thread
from tests.support.database_state import documents
from tests.support.factories import create_users, draft, notify, order, trades_of
from tests.support.faults import before_commands
from tests.support.own_client import collection

pytestmark = [pytest.mark.usefixtures("app_context"), pytest.mark.own_database]

Documents = dict[str, list[dict[str, Any]]]
USERS = ("alice", "bob", "carol")
COLLECTIONS = (
    *("users", "identities", "inboxes", "portfolios", "movements"),
    *("trades", "alerts", "notifications", "answers"),
)
# What shape 5 added.
OF_SEASONS = ("season", "season_start", "season_started_at", "seasons", "deposits", "withdrawals")


def everything() -> Documents:
    """Return all documents; movements without their ids, which a migration draws."""
    found = {name: documents(name) for name in COLLECTIONS}
    for movement in found["movements"]:
        del movement["_id"]
    found["movements"].sort(key=itemgetter("user_id"))
    return found


@pytest.fixture
def before(app_context: Flask) -> Documents:
    """Fill every field, put the documents into shape 2, and return them in the current shape."""
    create_users(*USERS)
    for user_id in USERS:
        closed = open_trade(user_id, order(quantity=2))
        exit_trade(user_id, str(closed.id))
        open_trade(user_id, order("RELIANCE.NS", stop_loss=1_000))
        set_alert(user_id, "^NSEI", above=Decimal(26_000))
    notify(draft("bob"))
    collection("inboxes").update_one(
        {"_id": "bob"}, {"$set": {"preferences": Preferences(sms=False).to_document()}}
    )
    now = everything()
    _put_into_shape_2()
    return now


def _put_into_shape_4() -> None:
    """Rewrite the documents into the shape before portfolios had seasons."""
    collection("movements").drop()
    collection("portfolios").update_many({}, {"$unset": dict.fromkeys(OF_SEASONS, "")})
    own = {"portfolio_id": "", "portfolio": ""}
    collection("trades").update_many({}, {"$unset": own})
    user, portfolio, number, status = (
        (field, 1) for field in ("user_id", "portfolio_id", "number", "status")
    )
    collection("trades").drop_index([user, portfolio, number])
    collection("trades").drop_index([user, portfolio, status, number])
    collection("trades").drop_index([user, portfolio, ("closed_at", 1)])
    collection("trades").create_index([user, number], unique=True)
    collection("trades").create_index([user, status, number])
    collection("schema").replace_one({"_id": "version"}, {"number": 4}, upsert=True)


def _put_into_shape_2() -> None:
    """Rewrite the documents into the shape of earlier versions."""
    _put_into_shape_4()
    portfolios = documents("portfolios")
    collection("portfolios").drop()
    for portfolio in portfolios:
        portfolio_id, user_id = portfolio.pop("_id"), portfolio.pop("user_id")
        del portfolio["name"]
        old = {"_id": user_id, "portfolio_id": portfolio_id, **portfolio}
        collection("portfolios").insert_one(old)
    collection("identities").drop()
    for name, fields in {
        "trades": ("trigger_below", "trigger_above"),
        "alerts": ("above", "below"),
    }.items():
        collection(name).update_many({}, {"$unset": {"waiting": ""}})
        for field in fields:
            collection(name).drop_index(f"waiting_1_symbol_1_{field}_1")
            collection(name).create_index([("status", 1), ("symbol", 1), (field, 1)])
    collection("schema").replace_one({"_id": "version"}, {"number": 2}, upsert=True)


def _without_closed_marks(found: Documents) -> Documents:
    """Return the documents without `waiting: false`, which is optional in closed documents."""
    for document in [*found["trades"], *found["alerts"]]:
        if document.get("waiting") is False:
            del document["waiting"]
    return found


def test_the_migrated_documents_are_those_of_the_current_version(before: Documents) -> None:
    migrations.migrate()

    assert everything() == _without_closed_marks(before)
    create_indexes()
    assert Inbox.find("bob") == Inbox("bob", 4, 4, Preferences(sms=False))
    assert [find_differences(user_id) for user_id in USERS] == [[], [], []]


def test_trades_and_alerts_continue_after_it(before: Documents) -> None:
    migrations.migrate()
    create_indexes()

    open_trade("alice", order())

    assert sorted(trade.number for trade in trades_of("alice")) == [1, 2, 3]
    assert [event.seq for event in Notification.find_after("alice", 0, 9)] == [1, 2, 3, 4]
    assert find_differences("alice") == []
    assert len(list(Trade.find_triggered("RELIANCE.NS", Decimal(999), Decimal(999)))) == len(USERS)
    assert len(list(Alert.find_crossed("^NSEI", Decimal(26_000), Decimal(26_000)))) == len(USERS)


def test_indexes_of_earlier_shapes_are_dropped(before: Documents) -> None:
    migrations.migrate()

    for name in ("trades", "alerts"):
        assert not [
            each for each in collection(name).index_information() if "status_1_symbol" in each
        ]
    assert not {
        index
        for index in collection("trades").index_information()
        if index.startswith(("user_id_1_number", "user_id_1_status"))
    }


def test_an_interrupted_migration_continues_at_the_next_start(
    app_context: Flask, before: Documents
) -> None:
    app_context.config["WRITE_BATCH_SIZE"] = 1
    starts = 0
    while documents("schema") != [{"_id": "version", "number": migrations.VERSION}]:
        starts += 1
        # Each start migrates one document and is then killed.
        allowed = iter([True])

        def kill_after_one(command: Document, allowed: Iterator[bool] = allowed) -> None:
            if command.get("startTransaction") and not next(allowed, False):
                raise Killed

        with suppress(Killed), before_commands(kill_after_one):
            migrations.migrate()

    # Step 4: a portfolio, an open trade and an alert of each user; step 5: two trades, a portfolio.
    assert starts == (3 + 3) * len(USERS)
    assert everything() == _without_closed_marks(before)


def test_processes_that_start_together_share_the_work(
    app_context: Flask, before: Documents
) -> None:
    app_context.config["WRITE_BATCH_SIZE"] = 1

    def migrate() -> None:
        with app_context.app_context():
            migrations.migrate()

    run_concurrently([migrate] * 4)

    assert everything() == _without_closed_marks(before)


def test_it_runs_once(before: Documents) -> None:
    migrations.migrate()
    # A second run would give the trades their marks back.
    collection("trades").update_many({}, {"$unset": {"waiting": ""}})

    migrations.migrate()

    assert not [trade for trade in documents("trades") if "waiting" in trade]


def test_a_starting_server_migrates(before: Documents, make_app: Callable[[], Flask]) -> None:
    # In a thread without the context of this test's application, as at a real start.
    run_in_thread(make_app)

    assert everything() == _without_closed_marks(before)


def test_data_of_the_first_shape_is_refused(before: Documents) -> None:
    collection("schema").drop()

    with pytest.raises(UnusableData, match=r"in shape 1.*no longer migrates"):
        migrations.migrate()


def test_new_data_has_the_current_shape() -> None:
    assert documents("schema") == [{"_id": "version", "number": migrations.VERSION}]


def test_data_of_a_later_version_is_refused(before: Documents) -> None:
    later = migrations.VERSION + 1
    collection("schema").update_one({"_id": "version"}, {"$set": {"number": later}})
    found = everything()

    with pytest.raises(UnusableData, match=f"in shape {later}.*Update it"):
        migrations.migrate()

    assert everything() == found


def test_a_command_does_not_migrate(
    before: Documents,
) -> None:
    found = everything()

    with pytest.raises(UnusableData, match="start this one once"):
        migrations.migrate(for_command=True)

    assert everything() == found


class Killed(Exception):
    """Stands for the end of the process."""
