"""kill -9 during many closures: every event is mailed at least once, in digests."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pymongo import MongoClient

from app.database.codec import TYPE_REGISTRY
from app.delivery.outbox import LEASE
from tests.fakes.smtp import MailServer, make_certificate
from tests.support.audit import Document, Snapshot, embedded_uri
from tests.support.customer import Customer
from tests.support.load import Load
from tests.support.operation import Operation
from tests.support.recording import AFTER_THE_CALM, write_calm_market, write_swinging_market
from tests.support.server import ServerProcess

CUSTOMERS = 3
TRADES = 50

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.needs("openssl"),
]


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    with MailServer(*make_certificate(tmp_path)).open() as server:
        yield server


def open_trades(customer: Customer) -> None:
    """Open trades that the first fall closes, all of them."""
    for _ in range(TRADES):
        order = {"symbol": "^NSEI", "trade_type": "BUY", "quantity": 1, "stop_loss": 24_700}
        operation = Operation("create", customer.user_id, "/trades/create", order)
        customer.attempt(operation)
        assert operation.succeeded, operation


def deliveries(server: ServerProcess) -> Counter[str]:
    """Count the delivery statuses of all closures."""
    snapshot = Snapshot.take(embedded_uri(server.folder / "data"))
    return Counter(
        each["deliveries"][0]["status"]
        for each in snapshot.notifications
        if each["type"] == "trade_auto_closed"
    )


def let_claims_run_out(server: ServerProcess) -> None:
    """Expire the claims of the killed server, as if `LEASE` had passed."""
    uri = embedded_uri(server.folder / "data")
    client: MongoClient[Document] = MongoClient(uri, tz_aware=True, type_registry=TYPE_REGISTRY)
    with client:
        client.paper_trading.notifications.update_many(
            {"claim": {"$exists": True}, "deliver_at": {"$gt": datetime.now(UTC)}},
            [
                {
                    "$set": {
                        "deliver_at": {"$subtract": ["$deliver_at", LEASE.total_seconds() * 1000]}
                    }
                }
            ],
        )


def count_mailed_events(mail_server: MailServer, since: int) -> int:
    """Count the events in the mails."""
    counts = [
        re.search(r"(\d+) events", str(mail["Subject"])) for mail in mail_server.mails[since:]
    ]
    return sum(int(count[1]) if count else 1 for count in counts)


def test_a_burst_is_mailed_as_digests_and_nothing_is_left_out(
    make_server: Callable[..., ServerProcess], mail_server: MailServer, tmp_path: Path, seed: str
) -> None:
    calm = write_calm_market(tmp_path / "calm.csv")
    falling = write_swinging_market(
        tmp_path / "falling.csv", seconds=100, seed=1, start=AFTER_THE_CALM
    )
    server = make_server(
        MARKET_DATA="replay", REPLAY_FILE=calm.path, **mail_server.environment
    ).start()
    load = Load(server, CUSTOMERS, seed, name="mailed")
    load.sign_up()
    with ThreadPoolExecutor(CUSTOMERS) as pool:
        list(pool.map(open_trades, load.customers))
    server.stop()
    server.environment["REPLAY_FILE"] = str(falling.path)
    server.start()
    before = len(mail_server.mails)

    closures = CUSTOMERS * TRADES
    deadline = time.monotonic() + 100
    while not deliveries(server):
        assert time.monotonic() < deadline, "nothing was closed"
        time.sleep(0.05)
    server.kill()
    server.start()
    while (counted := deliveries(server)) != {"sent": closures}:
        let_claims_run_out(server)
        assert time.monotonic() < deadline, f"{counted}:\n{server.output()}"
        time.sleep(0.3)

    assert count_mailed_events(mail_server, before) >= closures
    assert len(mail_server.mails) - before <= 10 * CUSTOMERS
