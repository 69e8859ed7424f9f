"""Beyond the table: the NIFTY 500 ticking, 100,000 open trades, 1,000 sockets; where does it bend?

    python -m benchmarks.soak --seconds 120

Run by hand: writing the trades takes minutes. With --folder they are written once and kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.__main__ import RESULTS
from benchmarks.measure import percentile
from benchmarks.support.books import seed_users
from benchmarks.support.load import Call
from benchmarks.support.nifty500 import (
    SHARES,
    SHIFT,
    SYMBOLS,
    Exchange,
    exchange,
    list_shares,
    seed_shares,
)
from benchmarks.support.probes import PriceProbe, RequestProbe
from benchmarks.support.sockets import Audience, Seat, audience, cpu_seconds
from benchmarks.support.usage import database_pid, memory
from benchmarks.support.world import World, world

USERS = 1_000
TRADES_OF_A_SHARE = 200
SYMBOLS_OF_A_SOCKET = 20
REQUESTS_PER_SECOND = 20
FALLS_PER_SECOND = 5
REPORT_SECONDS = 10
STAGE_SECONDS = 20
# It holds while prices are not older than this, and nearly every tick is shown to its followers.
MAX_LAG_SECONDS = 1.0
LEAST_SHOWN = 0.95
FASTER = (1.5, 2, 3, 4, 6)
SLOWER = (0.75, 0.5, 0.25, 0.1)


@dataclass(frozen=True, slots=True)
class Bar:
    """What was seen in some seconds. Times are milliseconds, memory MB, processors in cores."""

    rate: float
    seconds: float
    ticks_sent: float
    ticks_shown: float
    source_late: float
    lag_p50: float
    lag_p99: float
    deliveries: float
    closures_due: int
    closures: int
    closure_p50: float
    closure_p99: float
    requests: float
    failures: int
    rest_p50: float
    rest_p99: float
    server_cores: float
    database_cores: float
    server_memory: float
    database_memory: float

    @property
    def holds(self) -> bool:
        """Whether the server kept up."""
        on_time = self.lag_p99 <= MAX_LAG_SECONDS * 1_000
        return on_time and self.ticks_shown >= LEAST_SHOWN * self.ticks_sent

    def __str__(self) -> str:
        return (
            f"ticks {self.ticks_sent:,.0f}/s sent, {self.ticks_shown:,.0f}/s shown, "
            f"lag {self.lag_p50:,.0f}/{self.lag_p99:,.0f} ms"
            f" | {self.deliveries:,.0f} prices/s"
            f" | closed {self.closures} of {self.closures_due} in "
            f"{self.closure_p50:,.0f}/{self.closure_p99:,.0f} ms"
            f" | REST {self.requests:.0f}/s {self.rest_p50:,.0f}/{self.rest_p99:,.0f} ms, "
            f"{self.failures} failed"
            f" | server {self.server_cores:.0%} {self.server_memory:,.0f} MB"
            f" | database {self.database_cores:.0%} {self.database_memory:,.0f} MB"
        )


class Watch:
    """Everything that is counted, from one question to the next."""

    def __init__(
        self,
        market: Exchange,
        sockets: Audience,
        prices: PriceProbe,
        requests: RequestProbe,
        pids: tuple[int, int],
    ) -> None:
        self._market = market
        self._sockets = sockets
        self._prices = prices
        self._requests = requests
        self._pids = pids
        # Of each seat, when the ticks were sent whose closures it has not heard of.
        self._pending: dict[int, deque[float]] = defaultdict(deque)
        self._reached = 0
        self._since = self._counts()

    def start(self) -> None:
        """Forget what was seen so far."""
        self.look()

    def look(self) -> Bar:
        """Return what was seen since the last look."""
        before, self._since = self._since, self._counts()
        seconds = self._since[0] - before[0]
        sent, delivered, server, database = (
            (now - then) / seconds for now, then in zip(self._since[1:], before[1:], strict=True)
        )
        lags = self._prices.lags()
        due, waits = self._closures()
        answers, failures = self._requests.answers()
        for each in failures[:2]:
            print(f"    a request failed: {each}", flush=True)
        lateness, self._market.lateness = self._market.lateness, 0.0
        return Bar(
            rate=self._market.rate,
            seconds=seconds,
            ticks_sent=sent,
            ticks_shown=len(lags) / seconds,
            source_late=lateness * 1_000,
            lag_p50=_milliseconds(lags, 0.5),
            lag_p99=_milliseconds(lags, 0.99),
            deliveries=delivered,
            closures_due=due,
            closures=len(waits),
            closure_p50=_milliseconds(waits, 0.5),
            closure_p99=_milliseconds(waits, 0.99),
            requests=len(answers) / seconds,
            failures=len(failures),
            rest_p50=_milliseconds(answers, 0.5),
            rest_p99=_milliseconds(answers, 0.99),
            server_cores=server,
            database_cores=database,
            server_memory=memory(self._pids[0]),
            database_memory=memory(self._pids[1]),
        )

    def _counts(self) -> tuple[float, ...]:
        used = (cpu_seconds(pid) for pid in self._pids)
        return (time.monotonic(), self._market.sent, self._sockets.prices(), *used)

    def _closures(self) -> tuple[int, list[float]]:
        """Return how many stop-losses were reached, and how long their users waited to hear."""
        updates = self._sockets.updates()
        reached = self._market.reached[self._reached :]
        self._reached += len(reached)
        for share, rung, sent_at in reached:
            self._pending[(share * SHIFT + rung) % USERS].append(sent_at)
        return len(reached), [at - self._pending[seat].popleft() for seat, at in updates]


def main() -> int:
    arguments = _arguments()
    with ExitStack() as stack:
        kept = _written(arguments.folder) if arguments.folder else None
        here = stack.enter_context(world(kept))
        if kept is None:
            _write(here)
        users = [f"user{number}" for number in range(USERS)]
        askers = [f"asker{number}" for number in range(REQUESTS_PER_SECOND)]
        tokens = dict(zip([*users, *askers], here.tokens([*users, *askers]), strict=True))
        here.release_database()
        market = stack.enter_context(exchange())
        server = stack.enter_context(
            here.server(arguments.mode, MONGO_URI="", DATA_DIR=here.data_dir, **market.variables)
        )
        assert server.process is not None
        pids = server.process.pid, database_pid(here.data_dir)
        _say("waiting until the server follows every share")
        market.wait_until_all_followed()
        sockets = stack.enter_context(audience())
        # As many as a socket without a token may follow.
        prices = PriceProbe(
            server.port, SYMBOLS[:: SHARES // SYMBOLS_OF_A_SOCKET][:SYMBOLS_OF_A_SOCKET]
        )
        requests = RequestProbe(server.port, _calls(askers, tokens), REQUESTS_PER_SECOND)
        stack.enter_context(market.ticking())
        stack.enter_context(prices.listening())
        _say(f"seating {USERS:,} sockets")
        sockets.connect(server.port, _seats(users, tokens, arguments.batch))
        stack.enter_context(requests.asking())
        watch = Watch(market, sockets, prices, requests, pids)
        spans = _run(watch, market, arguments.seconds)
        stages = _find_bend(watch, market, spans)
    _keep(spans, stages)
    return 0


def _run(watch: Watch, market: Exchange, seconds: float) -> list[Bar]:
    """Warm up, then report every ten seconds."""
    market.falls_per_second = FALLS_PER_SECOND
    time.sleep(REPORT_SECONDS)
    watch.start()
    _say("pairs of times are half of them within / all but a hundredth within")
    spans = []
    for elapsed in range(REPORT_SECONDS, int(seconds) + 1, REPORT_SECONDS):
        time.sleep(REPORT_SECONDS)
        spans.append(watch.look())
        print(f"{elapsed:4} s  {spans[-1]}", flush=True)
    return spans


def _find_bend(watch: Watch, market: Exchange, spans: Sequence[Bar]) -> list[Bar]:
    """Go faster until it no longer holds; or slower until it does, where it did not."""
    held = sum(each.holds for each in spans) * 2 > len(spans)
    stages: list[Bar] = []
    for rate in FASTER if held else SLOWER:
        market.rate = rate
        # What piled up before is not this stage's.
        time.sleep(STAGE_SECONDS / 4)
        watch.start()
        time.sleep(STAGE_SECONDS)
        stages.append(watch.look())
        print(f"  x{rate:<4g} {stages[-1]}", flush=True)
        if stages[-1].holds is not held:
            break
    good = [*(each for each in stages if each.holds), *(each for each in spans if each.holds)]
    if good:
        best = max(good, key=lambda each: each.rate)
        print(f"It holds at {best.rate:g} ticks a second for each of {SHARES} shares.")
    else:
        print("It does not hold at any rate that was tried.")
    return stages


def _calls(askers: Sequence[str], tokens: dict[str, str]) -> list[Call]:
    """Return what users ask for: mostly their books, prices, and now and then a trade."""
    paths = ("/portfolio/{}", "/trades/{}?limit=50", "/trades/performance/{}")
    calls = []
    for number, asker in enumerate(askers):
        if number % 10 == 0:
            order = {"symbol": SYMBOLS[number], "trade_type": "BUY", "quantity": 1}
            calls.append(Call("POST", "/trades/create", tokens[asker], order))
        elif number % 2:
            calls.append(Call("GET", f"/market/live/{SYMBOLS[number]}", tokens[asker]))
        else:
            calls.append(Call("GET", paths[number % 3].format(asker), tokens[asker]))
    return calls


def _seats(users: Sequence[str], tokens: dict[str, str], batch: bool) -> list[Seat]:
    """Seat each user, following twenty shares: each share has forty followers."""
    return [
        Seat(
            tuple(SYMBOLS[(number * SHIFT + each) % SHARES] for each in range(SYMBOLS_OF_A_SOCKET)),
            user,
            tokens[user],
            batch,
        )
        for number, user in enumerate(users)
    ]


def _written(folder: Path) -> Path:
    """Return the kept data folder, written now if it is not there."""
    if not folder.exists():
        with world() as here:
            _write(here)
            here.release_database()
            draft = folder.with_name(f"{folder.name}.draft")
            shutil.copytree(here.data_dir, draft)
            draft.rename(folder)
    return folder


def _write(here: World) -> None:
    list_shares(here)
    users = seed_users(here, USERS)
    seed_users(here, REQUESTS_PER_SECOND, prefix="asker")
    _say(f"writing {SHARES * TRADES_OF_A_SHARE:,} trades, which takes minutes")
    seed_shares(here, users, TRADES_OF_A_SHARE)


def _keep(spans: Sequence[Bar], stages: Sequence[Bar]) -> None:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"soak-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    document: dict[str, Any] = {
        "processors": os.cpu_count(),
        "spans": [asdict(each) for each in spans],
        "stages": [asdict(each) for each in stages],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"Kept in {path}.")


def _milliseconds(seconds: Sequence[float], share: float) -> float:
    return percentile(seconds, share) * 1_000 if seconds else float("nan")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long, at a tick a second")
    parser.add_argument("--mode", default="eventlet", help="SOCKETIO_ASYNC_MODE of the server")
    parser.add_argument("--batch", action="store_true", help="the sockets ask for live_prices")
    parser.add_argument("--folder", type=Path, help="where the written trades are kept, or are")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
