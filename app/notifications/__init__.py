"""A user's events: what happened, read or unread, and how it was delivered."""

from app.notifications.routes import blueprint

__all__ = ["blueprint"]
