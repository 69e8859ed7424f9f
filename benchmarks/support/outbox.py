"""Waiting for a server's outbox, so that what it still does is not on the other side's time."""

from __future__ import annotations

import time
from datetime import timedelta

from benchmarks.support.world import World

PATIENCE_SECONDS = 60.0


def wait_until_delivered(here: World) -> None:
    """Return once nothing is due within the hour, nor claimed; raise TimeoutError if late."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    due = {"deliver_at": {"$lte": here.clock.now() + timedelta(hours=1)}}
    while here.db.notifications.find_one(due, {"_id": 1}) is not None:
        if time.monotonic() > deadline:
            raise TimeoutError("the outbox did not deliver what was due")
        time.sleep(0.1)
