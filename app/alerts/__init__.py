"""Price alerts: setting them, and firing them when a price crosses a level."""

from app.alerts.routes import blueprint

__all__ = ["blueprint"]
