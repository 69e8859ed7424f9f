"""A user's virtual money."""

from app.portfolio.routes import blueprint

__all__ = ["blueprint"]
