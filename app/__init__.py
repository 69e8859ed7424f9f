"""The paper trading backend: a Flask application made of blueprints over MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.factory import create_app

__all__ = ["create_app"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # Whoever imports a module of this package runs this one first. So it brings in the
        # application only when asked to: `run.py` starts the database before that.
        if name == "create_app":
            from app.factory import create_app

            return create_app
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
