"""A ping by a new client, to the database of a URI."""

from __future__ import annotations

from enum import Enum

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

TIMEOUT_SECONDS = 2


class PingResult(Enum):
    OK = "ok"
    # The database replied with an error, or did not accept the password.
    ERROR = "error"
    NO_REPLY = "no reply"


def ping(uri: str) -> PingResult:
    """Return how the database at a URI replies to a new client."""
    milliseconds = TIMEOUT_SECONDS * 1000
    client: MongoClient[dict[str, object]] = MongoClient(
        uri, serverSelectionTimeoutMS=milliseconds, timeoutMS=milliseconds
    )
    with client:
        try:
            client.admin.command("ping")
        except OperationFailure:
            return PingResult.ERROR
        except PyMongoError:
            # PyMongo retries until the timeout if the handshake itself fails with an error.
            (server,) = client.topology_description.server_descriptions().values()
            failed = isinstance(server.error, OperationFailure)
            return PingResult.ERROR if failed else PingResult.NO_REPLY
    return PingResult.OK


def is_reachable(uri: str) -> bool:
    """Return whether the database at a URI replies and proves that it knows the password."""
    return ping(uri) is PingResult.OK
