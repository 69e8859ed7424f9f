"""Reading over HTTP, against a route of bare Flask behind a JWT."""

from __future__ import annotations

from benchmarks.measure import Goal, Result, ratio_of
from benchmarks.support.bare_flask import FINDING_PATH, PATH, bare_flask
from benchmarks.support.books import seed_users
from benchmarks.support.load import Call, apart, drive
from benchmarks.support.world import world

CLIENTS = 16
SECONDS = 1.0


def measure() -> list[Result]:
    """Measure answers a second of two routes as shares of the bare route's."""
    with world() as here, apart() as process, bare_flask(here.secret, here.uri) as bare_port:
        users = seed_users(here, CLIENTS)
        tokens = here.tokens(users)
        # Every client of either side sends its token: the limiter counts by it.
        bare = [Call("GET", PATH, token) for token in tokens]
        finding = [Call("GET", FINDING_PATH, token) for token in tokens]
        quotes = [Call("GET", "/market/live/^NSEI", token) for token in tokens]
        portfolios = [
            Call("GET", f"/portfolio/{user}", token)
            for user, token in zip(users, tokens, strict=True)
        ]
        plenty = "1000000 per hour"
        with here.server(
            RATELIMIT_ENABLED="true", RATELIMIT_DEFAULT=plenty, RATELIMIT_READS=plenty
        ) as server:

            def rate(port: int, calls: list[Call]) -> float:
                return process.submit(drive, port, calls, SECONDS).result().require(200).rate

            def compare(row: str, ours: list[Call], against: str, peer: list[Call]) -> Result:
                return ratio_of(
                    row,
                    against,
                    Goal(at_least=0.7),
                    ours=lambda: rate(server.port, ours),
                    peer=lambda: rate(bare_port, peer),
                    unit="answers/s",
                )

            constant, one_find = "bare Flask with JWT", "bare Flask with JWT and one find_one"
            return [
                compare("GET market/live", quotes, constant, bare),
                compare("GET portfolio, and its read", portfolios, one_find, finding),
            ]
