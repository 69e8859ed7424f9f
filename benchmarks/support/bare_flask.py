"""The floor of the rows that read: Flask behind a JWT, under eventlet as our server is.

`python -m benchmarks.support.bare_flask PORT URI`, with JWT_SECRET_KEY in the environment. No
application, no check of anything but the token. One route answers a constant, one with what it
finds in the database.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.support.floor import floor

PATH = "/bare"
FINDING_PATH = "/finding"
# What it answers: as long as a portfolio of ours.
ANSWER = {
    "portfolio_id": "6b044ff6d5648e351858f3e0",
    "user_id": "user0",
    "available_margin": 1_000_000_000.0,
    "utilized_margin": 0.0,
    "total_pnl": 0.0,
    "initial_margin": 1_000_000_000.0,
    "last_updated": "2026-11-23T14:38:45.915Z",
}


@contextmanager
def bare_flask(secret: str, uri: str) -> Iterator[int]:
    """Run one that takes tokens signed with `secret` until the block ends; give its port.

    `uri` is the database that FINDING_PATH finds the portfolio of the token's user in.
    """
    with floor("benchmarks.support.bare_flask", uri, JWT_SECRET_KEY=secret) as (_, port):
        yield port


def _serve(port: int, uri: str) -> None:
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet

    eventlet.monkey_patch()
    import eventlet.wsgi
    from flask import Flask
    from flask_jwt_extended import JWTManager, get_jwt_identity, jwt_required
    from pymongo import MongoClient

    from config import DATABASE_NAME

    app = Flask(__name__)
    app.config["JWT_SECRET_KEY"] = os.environ["JWT_SECRET_KEY"]
    JWTManager(app)

    @app.get(PATH)
    @jwt_required()
    def answer() -> dict[str, object]:
        return ANSWER

    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    portfolios = client[DATABASE_NAME].portfolios

    @app.get(FINDING_PATH)
    @jwt_required()
    def find() -> dict[str, object]:
        found = portfolios.find_one({"user_id": get_jwt_identity(), "name": "default"})
        assert found is not None
        return {**ANSWER, "user_id": found["user_id"]}

    listener = eventlet.listen(("127.0.0.1", port), backlog=1024)
    eventlet.wsgi.server(
        listener, app, log_output=False, max_size=10_000, capitalize_response_headers=False
    )


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2])
