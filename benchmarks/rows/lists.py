"""What a user sees of 10,000 trades or 20 portfolios, against a user with 100 or one."""

from __future__ import annotations

import statistics
from concurrent.futures import ProcessPoolExecutor

from app.portfolio.service import MAX_PORTFOLIOS, open_portfolio
from benchmarks.measure import Goal, Result, ratio_of
from benchmarks.support.books import MARGIN, seed_trades, seed_users
from benchmarks.support.load import Call, apart, drive
from benchmarks.support.world import World, world

MANY, FEW = 10_000, 100
SECONDS = 0.8
ROUNDS = 7
# The client_id and a token.
User = tuple[str, str]


def measure() -> list[Result]:
    """Measure how long the performance and the first page take, each by one client at a time."""
    with world() as here, apart() as client:
        rich, poor = _seed(here, "many", MANY), _seed(here, "few", FEW)
        divided = _seed(here, "divided", FEW, portfolios=MAX_PORTFOLIOS)
        with here.server() as server:

            def compare(
                row: str, path: str, at_most: float, many: User = rich, against: str = f"{FEW}"
            ) -> Result:
                calls = [Call("GET", path.format(user), token) for user, token in (many, poor)]
                return _compare(client, server.port, row, against, calls, at_most)

            performance = "/trades/performance/{}"
            return [
                compare(f"GET trades/performance, {MANY:,} trades", performance, 3),
                compare(
                    f"GET trades/performance, {MAX_PORTFOLIOS} portfolios",
                    performance,
                    1.2,
                    divided,
                    "one",
                ),
                compare(f"GET trades, first page of {MANY:,}", "/trades/{}?limit=50", 1.2),
            ]


def _seed(here: World, name: str, count: int, *, portfolios: int = 1) -> User:
    """Return a user with `count` trades, the newer half of them active, and a token."""
    users = seed_users(here, 1, prefix=name)
    seed_trades(here, users, count // 2, closed=True)
    seed_trades(here, users, count // 2)
    with here.app.app_context():
        for number in range(1, portfolios):
            open_portfolio(users[0], MARGIN, f"portfolio {number}")
    return users[0], here.tokens(users)[0]


def _compare(
    client: ProcessPoolExecutor,
    port: int,
    row: str,
    against: str,
    calls: list[Call],
    at_most: float,
) -> Result:
    many, few = calls

    def milliseconds(call: Call) -> float:
        answers = client.submit(drive, port, [call], SECONDS).result().require(200)
        return statistics.median(answers.seconds) * 1_000

    return ratio_of(
        row,
        f"the same with {against}",
        Goal(at_most=at_most),
        ours=lambda: milliseconds(many),
        peer=lambda: milliseconds(few),
        unit="ms",
        rounds=ROUNDS,
    )
