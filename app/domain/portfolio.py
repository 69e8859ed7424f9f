"""The names of portfolios."""

from __future__ import annotations

# The portfolio that a request means if it names none.
DEFAULT_NAME = "default"
