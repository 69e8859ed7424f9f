"""The log line and the metrics of each request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from flask import Flask, Response, g, request

from app.logs import logger
from app.metrics import metrics

if TYPE_CHECKING:
    from opentelemetry.trace import Span

# The key of the WSGI environment that holds when the request started, by time.perf_counter.
STARTED = "paper_trading.started"
# The key that holds the span of the request.
SPAN = "paper_trading.span"


def init_app(app: Flask) -> None:
    """Count, time and log each request after its response is made."""
    app.after_request(_record)


def _record(response: Response) -> Response:
    seconds = time.perf_counter() - request.environ[STARTED]
    # An unknown address is no label: clients could make millions of them.
    route = request.url_rule.rule if request.url_rule else "unknown"
    metrics().requests.labels(request.method, route, response.status_code).inc()
    metrics().request_seconds.labels(request.method, route).observe(seconds)
    if span := request.environ.get(SPAN):
        _describe(span, route, response)
    if not g.get("may_log", True):
        return response
    fields = {
        "user": g.principal.user_id if g.get("principal") else "-",
        "status": response.status_code,
        "milliseconds": round(seconds * 1000, 1),
    }
    # Quoted again, so that a path cannot forge a line.
    path = quote(request.path, safe="/^@:+~")
    logger.info("%s %s", request.method, path, extra={"fields": fields})
    return response


def _describe(span: Span, route: str, response: Response) -> None:
    """Add to the span what OpenTelemetry's conventions name.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/
    """
    span.update_name(f"{request.method} {route}")
    span.set_attribute("http.request.method", request.method)
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", response.status_code)
    span.set_attribute("request_id", request.headers["X-Request-ID"])
