"""kill -9 of the server at random moments, again and again, while customers trade.

One storm for all the tests: it is what takes the time. FAULT_KILLS says how many kills.
"""

from __future__ import annotations

import gc
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pymongo import MongoClient

from tests.support.audit import (
    Auditor,
    Document,
    Snapshot,
    embedded_uri,
    missed_changes,
    rest_differences,
    subject_of,
)
from tests.support.followers import Follower, NodeFollower, PythonFollower, await_seq
from tests.support.live import eventually
from tests.support.load import Load
from tests.support.recording import (
    BEFORE_THE_END,
    Recording,
    write_calm_market,
    write_swinging_market,
)
from tests.support.server import ServerProcess

KILLS = int(os.environ.get("FAULT_KILLS", "10"))
CUSTOMERS = 4
# An audit covers all there was before it; one after every kill would only take time.
AUDIT_EVERY = 2
# As many trades are open before the market falls for the first time.
OPEN_TRADES = 80
OPENING_SECONDS = 90
FIRST_SWING_SECONDS = 5
SETTLING_SECONDS = 120
NEVER = datetime.max.replace(tzinfo=UTC)
# What happens in every storm, with its reason. Orders for the day expire in most: at times all of
# them are filled or cancelled before the session ends.
LEVELS = ("stop_loss", "target", "trailing_stop")
EVENTS = {
    ("trade_created", None),
    ("trade_triggered", None),
    ("trade_filled", None),
    ("trade_modified", None),
    ("trade_partially_exited", "user"),
    ("trade_exited", "user"),
    *(("trade_auto_closed", reason) for reason in LEVELS),
    *(("trade_cancelled", reason) for reason in ("user", "oco", "ioc")),
}

pytestmark = [
    pytest.mark.timeout(300 + 30 * KILLS),
    # python-socketio leaves the socket of a connection that broke to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@dataclass
class Storm:
    """A server that is killed repeatedly, and the problems that were found."""

    server: ServerProcess
    load: Load
    recording: Recording
    followers: list[Follower] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    most_open: int = 0
    # The recorded time since which the server has been up; none before the last kill.
    live_since: datetime = NEVER

    @property
    def uri(self) -> str:
        return embedded_uri(self.server.folder / "data")

    def find_differences(self, when: str) -> Snapshot:
        """Compare all that was acknowledged up to now with the database; note the problems."""
        snapshot, operations = self.load.operations_around(lambda: Snapshot.take(self.uri))
        found = Auditor(snapshot, operations).run()
        found += missed_changes(snapshot, self.recording, self.live_since)
        self.problems += [f"{when}: {each}" for each in found]
        return snapshot

    def await_settled(self) -> None:
        """Wait until the time without a server is settled."""
        with MongoClient[Document](self.uri, tz_aware=True) as client:
            market, started = client.paper_trading.market, datetime.now(UTC)

            def settled() -> list[datetime]:
                replay: Document = market.find_one({"_id": "replay"}) or {}
                began: datetime = replay["began_at"]
                time: datetime = replay.get("settled_to", BEFORE_THE_END)
                return [time] if time - BEFORE_THE_END >= started - began else []

            (self.live_since,) = eventually(settled, SETTLING_SECONDS)


@pytest.fixture(scope="module")
def storm(
    make_shared_server: Callable[..., ServerProcess],
    tmp_path_factory: pytest.TempPathFactory,
    seed: str,
) -> Iterator[Storm]:
    folder = tmp_path_factory.mktemp("storm")
    chance = random.Random(seed)
    calm = write_calm_market(folder / "calm.csv")
    recording = write_swinging_market(
        folder / "market.csv",
        seconds=300 + 30 * KILLS,
        seed=chance.random(),
        calm=FIRST_SWING_SECONDS,
        start=BEFORE_THE_END,
    )
    server = make_shared_server(MARKET_DATA="replay", REPLAY_FILE=calm.path).start()
    storm = Storm(server, Load(server, CUSTOMERS, seed, one_is_poor=True), recording)
    storm.load.sign_up()
    storm.followers = _followers(storm, folder)
    try:
        with storm.load.running():
            _await_open_trades(storm)
            server.kill()
            server.environment["REPLAY_FILE"] = str(recording.path)
            server.start()
            began = storm.find_differences("before the first fall").replay["began_at"]
            for number in range(1, KILLS + 1):
                _kill_at_a_random_moment(storm, chance, began)
                if number % AUDIT_EVERY == 0:
                    storm.find_differences(f"after kill {number}")
            storm.load.await_success(SETTLING_SECONDS)
            storm.await_settled()
        yield storm
    finally:
        for follower in storm.followers:
            follower.stop()
        # Here, where that is expected, and not during some later test.
        storm.followers.clear()
        gc.collect()


def _followers(storm: Storm, folder: Path) -> list[Follower]:
    """Return a Python and a JavaScript client for each of two customers."""
    url, followed = storm.server.url, storm.load.customers[:2]
    return [
        *(PythonFollower(url, customer.user_id, customer.token) for customer in followed),
        *(
            NodeFollower(
                url, customer.user_id, customer.token, folder / f"{customer.user_id}.jsonl"
            )
            for customer in followed
        ),
    ]


def _await_open_trades(storm: Storm) -> None:
    client: MongoClient[Document] = MongoClient(storm.uri)
    deadline = time.monotonic() + OPENING_SECONDS
    with client:
        while storm.most_open < OPEN_TRADES:
            assert time.monotonic() < deadline, f"only {storm.most_open} trades were opened"
            time.sleep(0.5)
            storm.most_open = client.paper_trading.trades.count_documents({"status": "ACTIVE"})


def _kill_at_a_random_moment(storm: Storm, chance: random.Random, began: datetime) -> None:
    """Kill and start again: under load, as a swing is settled, or while it starts."""
    manner = chance.choice(["any", "any", "swing", "swing", "start"])
    if manner == "start":
        storm.server.kill()
        storm.server.spawn()
    elif manner == "swing":
        elapsed = (datetime.now(UTC) - began).total_seconds()
        time.sleep(storm.recording.seconds_to_next_swing(elapsed))
    time.sleep(chance.uniform(0, 1.5))
    storm.server.kill()
    storm.server.start()


def test_nothing_acknowledged_is_lost_and_nothing_is_half_done(storm: Storm) -> None:
    storm.find_differences("at the end")

    assert storm.problems == []
    assert storm.load.faults() == []


def test_the_storm_was_one(storm: Storm) -> None:
    snapshot = storm.find_differences("later")
    happened = Counter(
        (each["type"], each["data"].get("reason")) for each in snapshot.notifications
    )

    assert storm.most_open >= OPEN_TRADES
    assert EVENTS - happened.keys() == set()
    assert sum(happened["trade_auto_closed", reason] for reason in LEVELS) >= OPEN_TRADES // 2
    assert any(each.attempts > 1 for each in storm.load.operations())
    assert all(each.joins > 1 for each in storm.followers if isinstance(each, PythonFollower))


def test_every_event_and_trade_can_be_read(storm: Storm) -> None:
    for customer in storm.load.customers:
        assert rest_differences(storm.server, customer.user_id, customer.token) == []


def test_sockets_that_rejoin_see_each_event_once_and_in_order(storm: Storm) -> None:
    snapshot = storm.find_differences("before the sockets are asked")
    for follower in storm.followers:
        events = [each for each in snapshot.notifications if each["user_id"] == follower.user_id]
        updates = await_seq(follower, len(events))

        assert [each["seq"] for each in updates] == list(range(1, len(events) + 1))
        kept = {each["seq"]: (each["type"], subject_of(each["data"])) for each in events}
        assert {each["seq"]: (each["event"], subject_of(each["data"])) for each in updates} == kept
