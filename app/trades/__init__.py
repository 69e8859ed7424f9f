"""Opening, exiting and settling trades."""

from app.trades.routes import blueprint

__all__ = ["blueprint"]
