"""The monitor's lease: of several processes on one database, one polls."""

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
        """Hold the lease from now on, whoever held it.

        For a server that starts: after a crash it need not wait for its own old lease to run
        out, and another that is alive finds out when it renews. Two that poll for a moment
        still settle each trade once.
        """
        collection("leases").update_one({"_id": NAME}, {"$set": self._term()}, upsert=True)

    def renew(self) -> bool:
        """Hold the lease for another lifetime, if it is ours or has run out; tell whether."""
        now = self._clock.now()
        try:
            collection("leases").update_one(
                {"_id": NAME, "$or": [{"holder": self._holder}, {"until": {"$lt": now}}]},
                {"$set": self._term()},
                upsert=True,
            )
        except DuplicateKeyError:
            # It exists and did not match: another's, and good.
            return False
        return True

    def _term(self) -> dict[str, object]:
        return {"holder": self._holder, "until": self._clock.now() + self.lifetime}
