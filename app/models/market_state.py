"""The state of the market that survives a restart: progress, replay and simulation."""

from __future__ import annotations

from datetime import datetime

from app.database import Document, collection
from app.models.portfolio import Portfolio

REPLAY = "replay"
SIMULATION = "simulation"


class MarketState:
    @classmethod
    def save_progress(cls, feed: str, time: datetime) -> None:
        """Store that every tick of the feed up to `time` (the feed's clock) has been settled."""
        collection("market").update_one({"_id": feed}, {"$set": {"settled_to": time}}, upsert=True)

    @classmethod
    def load_progress(cls, feed: str) -> datetime | None:
        """Return the time up to which the feed's ticks have been settled, None if none has been."""
        document = collection("market").find_one({"_id": feed}) or {}
        settled_to: datetime | None = document.get("settled_to")
        return settled_to

    @classmethod
    def load_simulation(cls) -> Document | None:
        """Return the parameters of the simulated market at the last start."""
        return collection("market").find_one({"_id": SIMULATION})

    @classmethod
    def save_simulation(cls, course: Document) -> None:
        """Store the parameters of the simulated market at this start."""
        collection("market").replace_one({"_id": SIMULATION}, course, upsert=True)

    @classmethod
    def forget_simulation(cls) -> None:
        """Delete the simulated market, because another feed has set newer prices."""
        collection("market").delete_one({"_id": SIMULATION})

    @classmethod
    def resume_replay(
        cls, fingerprint: str, speed: float, last_time: datetime, now: datetime | None
    ) -> datetime | None:
        """Return when the replay to continue began; for a new one store `now`, if given, and None.

        A replay continues if the recording is that of the last run, and it was either not played
        to its end or has left open trades.
        """
        recording = {"fingerprint": fingerprint, "speed": speed}
        state = collection("market").find_one({"_id": REPLAY, **recording})
        if state is not None:
            settled_to = state.get("settled_to")
            if settled_to is None or settled_to < last_time or Portfolio.any_margin_in_use():
                began_at: datetime = state["began_at"]
                return began_at
        if now is not None:
            collection("market").replace_one(
                {"_id": REPLAY}, {**recording, "began_at": now}, upsert=True
            )
        return None
