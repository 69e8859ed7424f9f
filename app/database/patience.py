"""Reading what may be a great deal: longer than usual, from a database that is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pymongo
from pymongo.errors import PyMongoError

from app.database import database

T = TypeVar("T")

# A tick that triggers a hundred thousand trades at once: what reading them takes, and more.
LONG_READ_SECONDS = 60


def read_patiently(read: Callable[[], T]) -> T:
    """Return what `read` reads, tried once more with LONG_READ_SECONDS where it took too long.

    A database that does not answer at all is not waited for: raises PyMongoError.
    """
    try:
        return read()
    except PyMongoError as error:
        if not error.timeout:
            raise
    database().command("ping")
    with pymongo.timeout(LONG_READ_SECONDS):
        return read()
