"""Writing in batches: whatever fails, what is written of a user is written in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect

from app.database.batches import ClaimLost, write_in_batches
from app.database.transactions import WriteConflict

USERS = "abcd"


@dataclass(frozen=True)
class Item:
    user_id: str
    number: int
    fault: str


class Database:
    """Writes all items of a batch, or none: as the first item with a fault says."""

    def __init__(self, outages: set[int], locked: str | None) -> None:
        self._outages = outages
        self._locked = locked
        self.calls = 0
        self.written: list[Item] = []
        # By user: how much was written of all when an outage ended a batch of theirs.
        self.stopped: dict[str, int] = {}

    def write(self, batch: Sequence[Item]) -> Sequence[Item]:
        self.calls += 1
        users = {item.user_id for item in batch}
        if self.calls in self._outages:
            self.stopped |= dict.fromkeys(users, len(self.written))
            raise AutoReconnect("gone")
        if self._locked in users:
            if len(users) == 1:
                self.stopped |= dict.fromkeys(users, len(self.written))
            raise WriteConflict("locked")
        for item in batch:
            if item.fault == "claimed":
                raise ClaimLost
            if item.fault == "bad":
                raise ValueError("too large")
        self.written += batch
        return batch


@pytest.fixture(scope="module")
def plain_app() -> Flask:
    app = Flask(__name__)
    app.config["WRITE_BATCH_SIZE"] = 3
    return app


@given(
    users=st.lists(st.sampled_from(USERS), max_size=24),
    faults=st.lists(st.sampled_from(["claimed", "bad", *["none"] * 8]), min_size=24, max_size=24),
    cut=st.integers(0, 24),
    outages=st.sets(st.integers(1, 12), max_size=2),
    locked=st.sampled_from([None, *USERS]),
)
def test_what_is_written_of_a_user_is_in_order_and_ends_at_an_outage(
    plain_app: Flask,
    users: list[str],
    faults: list[str],
    cut: int,
    outages: set[int],
    locked: str | None,
) -> None:
    items = [
        Item(user, number, fault)
        for number, (user, fault) in enumerate(zip(users, faults, strict=False))
    ]
    database = Database(outages, locked)
    with plain_app.app_context():
        results = list(write_in_batches([items[:cut], items[cut:]], database.write, repr))

    written = [item for result in results for item in result.written]
    assert written == database.written
    assert bool(database.stopped) == any(result.outage for result in results)
    for user in USERS:
        sound = [item for item in items if item.user_id == user and item.fault == "none"]
        own = [item for item in written if item.user_id == user]
        # In order, and nothing but what an outage has kept from being written is missing.
        assert own == sound[: len(own)]
        if user in database.stopped:
            assert own == [i for i in written[: database.stopped[user]] if i.user_id == user]
        else:
            assert own == sound
