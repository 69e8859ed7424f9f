"""The state of the market that survives a restart: progress, replay and simulation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from pymongo import ReturnDocument

from app.database import Document, collection
from app.models.portfolio import Portfolio
from app.models.share_lease import SHARES

REPLAY = "replay"
SIMULATION = "simulation"
# Older scenarios are forgotten: little of their effect is left.
MAX_SCENARIOS = 200


class MarketState:
    @classmethod
    def save_progress(
        cls, feed: str, times: Mapping[int, datetime], epochs: Mapping[int, int]
    ) -> None:
        """Store up to when (the feed's clock) the ticks of each share have been settled.

        What a holder of a later epoch has stored stays.
        """
        stages = [
            {"$set": {f"shares.{each}": _later(each, epochs[each], times[each]) for each in times}},
            # The oldest time of all shares, for callers that need one.
            {"$set": {"settled_to": {"$min": [_settled_to(each) for each in range(SHARES)]}}},
        ]
        collection("market").update_one({"_id": feed}, stages, upsert=True)

    @classmethod
    def load_progress(cls, feed: str) -> dict[int, datetime]:
        """Return up to when the ticks of each share have been settled."""
        document = collection("market").find_one({"_id": feed}) or {}
        # An earlier version stored no shares.
        settled_to: datetime | None = document.get("settled_to")
        progress = dict.fromkeys(range(SHARES), settled_to) if settled_to else {}
        stored = document.get("shares", {})
        return progress | {int(each): share["settled_to"] for each, share in stored.items()}

    @classmethod
    def begin_gap(cls, feed: str, until: datetime, numbers: Collection[int]) -> None:
        """Store that prices of these shares up to a time (the feed's clock) come from candles."""
        ends = {f"gaps.{each}": until for each in numbers}
        collection("market").update_one({"_id": feed}, {"$max": ends}, upsert=True)

    @classmethod
    def find_gap_end(cls, feed: str, number: int) -> datetime | None:
        """Return up to when prices of a share came from candles; None without such a time."""
        document = collection("market").find_one({"_id": feed}, {f"gaps.{number}": 1}) or {}
        end: datetime | None = document.get("gaps", {}).get(str(number))
        return end

    @classmethod
    def load_simulation(cls) -> Document | None:
        """Return the parameters of the simulated market at the last start."""
        return collection("market").find_one({"_id": SIMULATION})

    @classmethod
    def begin_simulation(cls, course: Document, replaced: Document | None) -> Document:
        """Store a simulated market in place of `replaced`; return the stored one.

        That may be one that another process has stored meanwhile.
        """
        markets = collection("market")
        if replaced is not None:
            markets.delete_one({"_id": SIMULATION, "zero": replaced["zero"]})
        stored: Document | None = markets.find_one_and_update(
            {"_id": SIMULATION},
            {"$setOnInsert": course},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        assert stored is not None, "an upsert"
        return stored

    @classmethod
    def add_scenario(cls, scenario: Document, starts: int, ends: int) -> bool:
        """Add a scenario to the simulated market; return False if another one is not over.

        `starts` and `ends` are in seconds.
        """
        pushed = {"$each": [scenario], "$slice": -MAX_SCENARIOS}
        result = collection("market").update_one(
            {"_id": SIMULATION, "busy_until": {"$lte": starts}},
            {"$push": {"scenarios": pushed}, "$set": {"busy_until": ends}},
        )
        return result.modified_count == 1

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

    @classmethod
    def replayed_to(cls) -> datetime | None:
        """Return the recorded time up to which a replay is settled, None before its first pass."""
        state = collection("market").find_one({"_id": REPLAY}, {"settled_to": True})
        return state.get("settled_to") if state else None


def _later(share: int, epoch: int, time: datetime) -> Document:
    """Return the new progress of a share, or the stored one of a later epoch."""
    stored = f"$shares.{share}"
    is_later = {"$gt": [f"{stored}.epoch", epoch]}
    return {"$cond": [is_later, stored, {"epoch": epoch, "settled_to": time}]}


def _settled_to(share: int) -> Document:
    return {"$ifNull": [f"$shares.{share}.settled_to", "$settled_to"]}
