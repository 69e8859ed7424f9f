"""The shares of the symbols, while workers join, leave and die in any order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import hypothesis.strategies as st
from bson import ObjectId
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from app.models import SHARES, ShareLease
from app.monitor.division import divide

SECONDS = 20.0
workers = st.integers(0, 19)


class Division(RuleBasedStateMachine):
    """Workers that follow the plan, each when it comes to its pass."""

    @initialize()
    def start(self) -> None:
        self.leases = [ShareLease(each, 0, None, None, None, -1.0) for each in range(SHARES)]
        self.living: dict[int, ObjectId] = {}

    @rule(worker=workers)
    def run(self, worker: int) -> None:
        """Start a worker that does not run yet, and make its pass."""
        me = self.living.setdefault(worker, ObjectId())
        plan = divide(self.leases, me, (), SECONDS)
        for number in plan.take:
            lease = self.leases[number]
            assert lease.holder is None or lease.remaining <= 0
            self.leases[number] = replace(
                lease, epoch=lease.epoch + 1, holder=me, wanted_by=None, remaining=SECONDS
            )
        for number in plan.ask_for:
            assert self.leases[number].holder != me
            assert self.leases[number].wanted_by is None
            self.leases[number] = replace(self.leases[number], wanted_by=me)
        self.free(me, only_wanted=True, remaining=0.0)

    @rule(worker=workers)
    def leave(self, worker: int) -> None:
        if me := self.living.pop(worker, None):
            self.free(me, only_wanted=False, remaining=0.0)

    @rule(worker=workers)
    def die(self, worker: int) -> None:
        """A worker dies, and its leases expire."""
        if me := self.living.pop(worker, None):
            self.leases = [
                replace(lease, remaining=0.0) if lease.holder == me else lease
                for lease in self.leases
            ]

    def free(self, worker: ObjectId, *, only_wanted: bool, remaining: float) -> None:
        self.leases = [
            replace(lease, holder=None, remaining=remaining)
            if lease.holder == worker and (lease.wanted_by or not only_wanted)
            else lease
            for lease in self.leases
        ]

    def teardown(self) -> None:
        """Let the workers settle down: then each share has a holder, and the parts are even."""
        if not getattr(self, "living", None):
            return
        for _ in range(6):
            # What was reserved for a worker that is gone is free after a while.
            self.leases = [
                replace(lease, remaining=lease.remaining - 2 * SECONDS)
                if lease.holder not in self.living.values()
                else lease
                for lease in self.leases
            ]
            for worker in list(self.living):
                self.run(worker)
        before = self.leases
        for worker in list(self.living):
            self.run(worker)

        assert self.leases == before
        counts = Counter(lease.holder for lease in self.leases)
        parts = [counts[each] for each in self.living.values()]
        assert sum(parts) == SHARES
        assert max(parts) - min(parts) <= 1


TestDivision = Division.TestCase
TestDivision.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
