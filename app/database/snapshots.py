"""Reads of one instant: many queries that see the database as it was at the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.client_session import ClientSession
from pymongo.read_concern import ReadConcern

from app.database import database, without_concerns
from app.extensions import mongo


@contextmanager
def snapshot() -> Iterator[ClientSession]:
    """Give a session whose reads all see one instant.

    MongoDB keeps an instant for minSnapshotHistoryWindowInSeconds, by default five minutes; after
    that a read fails with SnapshotTooOld.
    """
    client = database().client
    if not mongo.is_secantus:
        with client.start_session(snapshot=True) as session:
            yield session
        return
    # SecantusDB: as a replica set it accepts a snapshot session, and reads each collection at
    # another instant. Its transactions read one instant, without a time limit. MongoDB takes the
    # session above, and ends a transaction after a minute.
    with (
        client.start_session() as session,
        session.start_transaction(read_concern=ReadConcern("snapshot")),
    ):
        yield session


@contextmanager
def reads_of_one_instant() -> Iterator[None]:
    """Have every read of this context see the same instant."""
    with snapshot() as session, session.bind(end_session=False), without_concerns():
        yield
