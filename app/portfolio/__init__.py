"""A user's virtual money."""
