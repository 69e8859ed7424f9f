"""How hypothesis tries: without a stopwatch, which a busy machine would fail by itself."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "paper_trading", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("paper_trading")
