"""Prices and symbols, and alerts on them."""

from app.alerts import blueprint as alerts
from app.market.routes import blueprint

blueprint.register_blueprint(alerts)

__all__ = ["blueprint"]
