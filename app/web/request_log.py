"""The log line of each request."""

from __future__ import annotations

import re
import time
import uuid
from urllib.parse import quote

from flask import Flask, Response, g, request

from app.logs import logger

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_app(app: Flask) -> None:
    """Give each request an id and a line."""
    app.before_request(_begin)
    app.after_request(_finish)


def _begin() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    g.started = time.perf_counter()


def _finish(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    fields = {
        "request_id": g.request_id,
        "user": g.principal.user_id if g.get("principal") else "-",
        "status": response.status_code,
        "milliseconds": round((time.perf_counter() - g.started) * 1000, 1),
    }
    if not g.get("may_log", True):
        return response
    # Quoted again, so that no path can forge a line of its own.
    path = quote(request.path, safe="/^@:+~")
    logger.info("%s %s", request.method, path, extra={"fields": fields})
    return response
