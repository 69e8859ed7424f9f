"""CORS: which web pages may call the API and open sockets.

Origins are compared as text, in the form that browsers send. Refused origins are logged, because
to the developer of the page a refusal looks like a server that is down.
"""

from __future__ import annotations

import re
from typing import Any, cast

from flask import Flask

from app.configuration.origins import normalize_origin
from app.extensions import cors
from app.logs import logger
from app.web.rate_limits import HEADERS, LogBudget
from config import Settings

KEY = "origin_policy"
# Some clients send the scheme of the socket in place of that of the page.
PAGE_SCHEMES = {"ws": "http", "wss": "https"}


class OriginPolicy:
    """Decides which origins are allowed, and logs the others."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origins)
        self._refusals_to_log = LogBudget(per_key="1 per hour", total="20 per hour")

    def allows(self, origin: str | None, environ: dict[str, Any]) -> bool:
        """Return whether a page of this origin may use the server that this request names."""
        if "*" in self._origins or origin is None:
            return True
        sent = normalize_origin(origin)
        if sent is not None and (sent in self._origins or _as_page(sent) == _own_origin(environ)):
            return True
        refused = sent or "a malformed one"
        if self._refusals_to_log.allows(refused):
            logger.warning("refused the origin %s: it is not in CORS_ORIGINS", refused[:100])
        return False


def init_app(app: Flask, settings: Settings) -> None:
    """Let the pages of CORS_ORIGINS read responses of the REST API."""
    app.extensions[KEY] = OriginPolicy(settings.cors_origins)
    cors.init_app(
        app,
        origins=[_exactly(origin) for origin in settings.cors_origins],
        always_send=False,
        expose_headers=["X-Request-ID", "Retry-After", *HEADERS],
    )


def policy(app: Flask) -> OriginPolicy:
    """Return the origin policy of an application."""
    return cast(OriginPolicy, app.extensions[KEY])


def _exactly(origin: str) -> str | re.Pattern[str]:
    # Flask-CORS guesses whether a text is a pattern, and mistakes an IPv6 address for one.
    return origin if origin == "*" else re.compile(re.escape(origin) + r"\Z")


def _as_page(origin: str) -> str:
    scheme, _, rest = origin.partition("://")
    return f"{PAGE_SCHEMES.get(scheme, scheme)}://{rest}"


def _own_origin(environ: dict[str, Any]) -> str | None:
    return normalize_origin(f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}")
