"""Price alerts."""

from app.alerts.routes import blueprint

__all__ = ["blueprint"]
