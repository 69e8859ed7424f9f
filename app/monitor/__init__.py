"""The monitor: polls the feed, publishes quotes, and settles what they trigger."""

from app.monitor.loop import Monitor

__all__ = ["Monitor"]
