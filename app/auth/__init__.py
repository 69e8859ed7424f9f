"""Registration and sign-in."""

from app.auth.routes import blueprint

__all__ = ["blueprint"]
