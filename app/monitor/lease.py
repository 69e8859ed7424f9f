"""The lease of the monitor: one of several processes on a database polls."""

from __future__ import annotations

from datetime import timedelta

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from app.clock import Clock
from app.database import collection

NAME = "monitor"


class Lease:
    def __init__(self, clock: Clock, lifetime: timedelta) -> None:
        self._clock = clock
        self.lifetime = lifetime
        self._holder = ObjectId()

    def take_over(self) -> None:
        """Take the lease from its holder.

        For a server that starts: after a crash it need not wait for its old lease to expire. A
        holder that is alive notices when it renews. Two that poll for a moment still settle each
        trade once.
        """
        collection("leases").update_one({"_id": NAME}, {"$set": self._term()}, upsert=True)

    def renew(self) -> bool:
        """Renew the lease if it is ours or has expired; return whether it is ours now."""
        now = self._clock.now()
        try:
            collection("leases").update_one(
                {"_id": NAME, "$or": [{"holder": self._holder}, {"until": {"$lt": now}}]},
                {"$set": self._term()},
                upsert=True,
            )
        except DuplicateKeyError:
            # The lease exists and did not match: another process holds it.
            return False
        return True

    def _term(self) -> dict[str, object]:
        return {"holder": self._holder, "until": self._clock.now() + self.lifetime}
