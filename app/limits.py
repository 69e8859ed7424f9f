"""Rate limits: how often a user, or an address, may call each route."""

from __future__ import annotations

import time

from flask import Flask, Response, request

from app.counters import COUNTERS_URI
from app.extensions import limiter
from config import Settings

HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def init_app(app: Flask, settings: Settings) -> None:
    """Bind the limiter; with Redis the counters are shared, and in memory while it is away."""
    app.config.update(
        RATELIMIT_ENABLED=settings.ratelimit_enabled,
        RATELIMIT_DEFAULT=settings.ratelimit_default,
        RATELIMIT_HEADERS_ENABLED=True,
        RATELIMIT_HEADER_RETRY_AFTER_VALUE="delta-seconds",
        RATELIMIT_STORAGE_URI=settings.redis_url or COUNTERS_URI,
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=settings.redis_url is not None,
    )
    # Registered first, so it runs after the limiter has set its headers.
    app.after_request(_tidy_headers)
    limiter.request_filter(_is_preflight)
    # Otherwise those of an earlier application in this process would stay.
    limiter.limit_manager.set_default_limits([])
    limiter.init_app(app)
    # Parsed here, once: Flask-Limiter would parse the text of the default anew at each request.
    parsed = limiter.limit_manager.default_limits
    # Declared to take limits that are yet to be parsed, it takes whatever yields parsed ones.
    limiter.limit_manager.set_default_limits([parsed])  # type: ignore[list-item]


def _is_preflight() -> bool:
    # A browser asks before each call of a web frontend; that is not the user's call.
    return request.method == "OPTIONS"


def _tidy_headers(response: Response) -> Response:
    """Add the names of the IETF draft, and leave Retry-After to answers that ask for it."""
    for name in HEADERS:
        value = response.headers.get(f"X-{name}")
        if value is not None:
            # The draft counts the seconds to the reset; the X- header names its time.
            is_time = name == "RateLimit-Reset"
            left = str(max(int(value) - int(time.time()), 0)) if is_time else value
            response.headers[name] = left
    if response.status_code not in (429, 503):
        response.headers.pop("Retry-After", None)
    return response
