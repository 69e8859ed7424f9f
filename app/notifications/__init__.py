"""A user's events: read or unread, and how they were delivered."""

from app.notifications.routes import blueprint

__all__ = ["blueprint"]
