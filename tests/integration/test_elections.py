"""An election: for some seconds the replica set has no primary."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from pymongo.errors import NotPrimaryError

from app.database import collection, database, init_app
from tests.support.faults import FaultyDatabase
from tests.support.users import Trader

_numbers = itertools.count(1)
# Longer than a read waits, shorter than a write with a key: each has seconds to spare.
ELECTION_SECONDS = 8


@pytest.fixture
def mongo_uri(faulty: FaultyDatabase) -> str:
    base, _, options = faulty.uri.partition("?")
    return f"{base}elections_{next(_numbers)}?{options}"


def test_a_write_with_a_key_waits_for_a_new_primary_and_a_read_does_not(
    faulty: FaultyDatabase, app: Flask, alice: Trader
) -> None:
    def create() -> int:
        headers = {**alice.headers, "Idempotency-Key": "one"}
        order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1}
        return app.test_client().post("/trades/create", headers=headers, json=order).status_code

    def read() -> int:
        path = f"/portfolio/{alice.client_id}"
        return app.test_client().get(path, headers=alice.headers).status_code

    faulty.step_down(ELECTION_SECONDS)
    # SecantusDB: gives the first refusal no RetryableWriteError label, so PyMongo does not retry
    # it. MongoDB does.
    with app.app_context(), pytest.raises(NotPrimaryError):
        collection("counters").insert_one({})
    with ThreadPoolExecutor(2) as pool:
        created, found = pool.submit(create), pool.submit(read)

    assert (created.result(), found.result()) == (201, 503)
    assert len(alice.trades()) == 1


@pytest.mark.parametrize(("options", "sizes"), [("", (32, 2)), ("&maxPoolSize=1", (1, 0))])
def test_a_process_keeps_a_bounded_number_of_connections(
    make_app: Callable[..., Flask], mongo_uri: str, options: str, sizes: tuple[int, int]
) -> None:
    app = make_app()
    with app.app_context():
        init_app(app, mongo_uri + options)

        pool = database().client.options.pool_options
        assert (pool.max_pool_size, pool.min_pool_size) == sizes
