"""Prices and symbols."""

from app.market.routes import blueprint

__all__ = ["blueprint"]
