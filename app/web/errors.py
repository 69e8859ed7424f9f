"""Error handlers: every error becomes the one JSON body of the API."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, jsonify, request
from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException

from app.database.transactions import is_outage, name_error
from app.domain.errors import (
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    InvalidRequest,
    NotFound,
    PaperTradingError,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from app.logs import logger
from app.web.schemas import MAXIMUM_BODY_BYTES, to_json
from app.web.storage import storage_error

STATUSES: dict[type[PaperTradingError], int] = {
    InvalidRequest: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    RateLimited: 429,
    Unavailable: 503,
}
HTTP_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
}
HTTP_MESSAGES = {
    404: "There is nothing at this address. GET /docs lists the routes.",
    405: "This address does not support this method.",
    413: "The body is larger than 64 KiB.",
}
# Bytes of an oversized body that are read and discarded, so that its client, still sending, sees
# the response rather than a broken connection.
DRAINED_BYTES = 32 * 1024 * 1024


def init_app(app: Flask) -> None:
    app.register_error_handler(PaperTradingError, error_response)
    app.register_error_handler(PyMongoError, _database_error)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(Exception, _unexpected_error)


def error_response(error: PaperTradingError) -> Response:
    """Return the response for an error."""
    response = _body(status_of(error), error.message, error.code, error.details)
    if isinstance(error, (RateLimited, Unavailable)):
        _set_retry_after(response, str(error.retry_after_seconds))
    if isinstance(error, RateLimited):
        g.rate_limited = error
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def status_of(error: PaperTradingError) -> int:
    """Return the HTTP status of an error."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def outage() -> Unavailable:
    """Return the error for a database that does not respond."""
    return storage_error() or DatabaseUnavailable(
        "The database cannot be reached right now. Try again shortly."
    )


def _database_error(error: PyMongoError) -> Response:
    if not is_outage(error):
        return _unexpected_error(error)
    logger.warning("database unavailable: %s", name_error(error))
    return error_response(outage())


def http_error(error: HTTPException) -> Response:
    """Return the response for an error of HTTP."""
    status = error.code or 500
    message = HTTP_MESSAGES.get(status, error.description or error.name)
    response = _body(status, message, HTTP_CODES.get(status, "http_error"), {})
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
        if name == "Retry-After":
            _set_retry_after(response, value)
    return response


def _set_retry_after(response: Response, value: str) -> None:
    response.headers["Retry-After"] = value
    # The limiter puts the reset of its limit in its place: see app/web/rate_limits.py.
    g.retry_after = value


def _unexpected_error(error: Exception) -> Response:
    logger.exception("unexpected error in %s %s", request.method, request.path, exc_info=error)
    return _body(
        500, "The server failed. The request_id helps its operator find out why.", "internal_error"
    )


def _body(status: int, message: str, code: str, details: dict[str, Any] | None = None) -> Response:
    if (request.content_length or 0) > MAXIMUM_BODY_BYTES:
        _drain()
    response = jsonify(
        error=message,
        code=code,
        details=to_json(details or {}),
        request_id=request.headers["X-Request-ID"],
    )
    response.status_code = status
    return response


def _drain() -> None:
    stream = request.environ.get("wsgi.input")
    left = min(request.content_length or 0, DRAINED_BYTES)
    while stream is not None and left > 0:
        chunk = stream.read(min(left, 64 * 1024))
        if not chunk:
            return
        left -= len(chunk)
