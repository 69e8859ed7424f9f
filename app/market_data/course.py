"""The course of a simulated market over its restarts: what its prices and its past follow from.

A walk follows from its seed and from the times in which it moved. These are kept rather than its
prices: a restart takes the same steps again, and continues where the last run stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Run:
    """A time in which the market moved, up to `last_step`.

    `zero` is when step 0 would have been at this run's pace, in seconds from MIDNIGHT.
    """

    zero: float
    step_seconds: float
    last_step: int

    @classmethod
    def ended(cls, zero: float, step_seconds: float, time: float, first_step: int) -> Run:
        """Return the run that began at `first_step` and stopped at a time."""
        return cls(zero, step_seconds, max(round((time - zero) / step_seconds), first_step))


@dataclass(frozen=True, slots=True)
class Course:
    """A market whose `runs` are over, and which moves again from `zero` on, as in a run.

    `starts` are the prices (rupees by symbol) at which its first run began.
    """

    seed: str
    zero: float
    starts: Mapping[str, Decimal] = field(default_factory=dict)
    runs: tuple[Run, ...] = ()

    @property
    def first_step(self) -> int:
        """The step at which it continues."""
        return self.runs[-1].last_step if self.runs else 0
