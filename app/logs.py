"""Logging by logzero: text for people or JSON for machines, one line a request."""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import Any
from urllib.parse import quote

import logzero
from flask import Flask, Response, g, request

from config import Settings

NAME = "paper_trading"
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
TEXT_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

logger = logging.getLogger(NAME)


class _TextFormatter(logging.Formatter):
    """The message, then whatever the record carries besides, as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        fields = getattr(record, "fields", None)
        return f"{line} {' '.join(f'{k}={v}' for k, v in fields.items())}" if fields else line


# logzero has no types, so its class is Any to mypy.
class _JsonFormatter(logzero.JsonFormatter):  # type: ignore[misc]
    """logzero's JSON line, with the fields of the record beside the message."""

    def add_fields(
        self, log_record: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        super().add_fields(log_record, record, message_dict)
        log_record.update(log_record.pop("fields", None) or {})
        # Python's own attribute for asyncio, which nothing here uses.
        log_record.pop("taskName", None)


def set_up_logging(settings: Settings) -> None:
    """Send the program's log to standard error and LOG_FILE as the configuration asks."""
    formatter: logging.Formatter
    if settings.log_format == "json":
        formatter = _JsonFormatter("%(asctime)s %(levelname)s %(message)s", TIME_FORMAT)
    else:
        formatter = _TextFormatter(TEXT_FORMAT, TIME_FORMAT)
    # UTC, as every other time that the program shows.
    formatter.converter = time.gmtime
    logzero.setup_logger(
        name=NAME,
        level=logging.getLevelName(settings.log_level),
        formatter=formatter,
        logfile=str(settings.log_file) if settings.log_file else None,
        maxBytes=50 * 1024 * 1024,
        backupCount=5,
    )


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
        "user": g.get("client_id") or "-",
        "status": response.status_code,
        "milliseconds": round((time.perf_counter() - g.started) * 1000, 1),
    }
    if not g.get("may_log", True):
        return response
    # Quoted again, so that no path can forge a line of its own.
    path = quote(request.path, safe="/^@:+~")
    logger.info("%s %s", request.method, path, extra={"fields": fields})
    return response
