"""The monitor: polls the feed, publishes quotes, settles what they trigger."""

from app.monitor.loop import Monitor

__all__ = ["Monitor"]
