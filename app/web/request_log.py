"""The log line of each request."""

from __future__ import annotations

import time
from urllib.parse import quote

from flask import Flask, Response, g, request

from app.logs import logger

# The key of the WSGI environment that holds when the request started, by time.perf_counter.
STARTED = "paper_trading.started"


def init_app(app: Flask) -> None:
    """Log each request after its response is made."""
    app.after_request(_log)


def _log(response: Response) -> Response:
    if not g.get("may_log", True):
        return response
    fields = {
        "request_id": request.headers["X-Request-ID"],
        "user": g.principal.user_id if g.get("principal") else "-",
        "status": response.status_code,
        "milliseconds": round((time.perf_counter() - request.environ[STARTED]) * 1000, 1),
    }
    # Quoted again, so that a path cannot forge a line.
    path = quote(request.path, safe="/^@:+~")
    logger.info("%s %s", request.method, path, extra={"fields": fields})
    return response
