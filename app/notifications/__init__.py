"""A user's events: read or unread, and how they were delivered."""
