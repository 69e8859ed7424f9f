"""Settings of hypothesis: no deadline, because a busy machine would exceed it."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "paper_trading", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("paper_trading")
