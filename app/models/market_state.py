"""What outlives a restart about the market: how far it was watched, and what was replayed."""

from __future__ import annotations

from datetime import datetime

from app.database import Document, collection
from app.models.portfolio import Portfolio

REPLAY = "replay"
SIMULATION = "simulation"


class MarketState:
    @classmethod
    def save_progress(cls, feed: str, time: datetime) -> None:
        """Keep that every tick of the feed up to `time`, its own, has been settled."""
        collection("market").update_one({"_id": feed}, {"$set": {"settled_to": time}}, upsert=True)

    @classmethod
    def load_progress(cls, feed: str) -> datetime | None:
        """Return up to when the feed's ticks have been settled, None before the first was."""
        document = collection("market").find_one({"_id": feed}) or {}
        settled_to: datetime | None = document.get("settled_to")
        return settled_to

    @classmethod
    def load_simulation(cls) -> Document | None:
        """Return what the course of the simulated market was at the last start."""
        return collection("market").find_one({"_id": SIMULATION})

    @classmethod
    def save_simulation(cls, course: Document) -> None:
        """Keep the course of the simulated market, as it is at this start."""
        collection("market").replace_one({"_id": SIMULATION}, course, upsert=True)

    @classmethod
    def forget_simulation(cls) -> None:
        """Have the simulated market begin anew: another feed's prices are the last ones."""
        collection("market").delete_one({"_id": SIMULATION})

    @classmethod
    def resume_replay(
        cls, fingerprint: str, speed: float, last_time: datetime, now: datetime | None
    ) -> datetime | None:
        """Return when a replay that is to go on began; None, and note `now` if any, for a new one.

        It goes on where the recording is the one of the last run and either was not played to
        its end, or trades are open that began in it.
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
