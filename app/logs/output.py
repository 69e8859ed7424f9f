"""The destinations of the log, standard error and LOG_FILE, for the program and its libraries.

Imported before the application, so it imports nothing that loads slowly.
"""

from __future__ import annotations

import io
import logging
import logging.handlers
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any, TextIO

import logzero

from app.configuration.environment import ROOT
from app.logs import logger
from app.logs.format import JsonFormatter, TextFormatter
from config import Settings

MAX_FILE_BYTES = 50 * 1024 * 1024
OLD_FILES = 5
# Libraries that add their own handler to a logger without a level, bypassing LOG_FORMAT.
SELF_CONFIGURING = ("engineio.server", "socketio.server", "werkzeug")

# Libraries that parse input of clients.
PROTOCOL_LIBRARIES = ("engineio", "socketio", "simple_websocket", "wsproto", "gevent", "eventlet")
# They log each failed attempt to reach Redis. The relay logs an outage once.
REPORTING_REDIS = ("socketio.server", "flask-limiter")
TRACE = "Traceback (most recent call last):"
TRACED_FILE = re.compile(r'^ *File "([^"]+)"', re.MULTILINE)


def set_up_logging(settings: Settings, *, max_file_bytes: int = MAX_FILE_BYTES) -> None:
    """Send the log of the program and its libraries to the configured destinations."""
    former = logger.handlers[:]
    _set_up_logger(settings.log_format, settings.log_level)
    handlers = [handler for handler in logger.handlers if not isinstance(handler, _LogFile)]
    for handler in logger.handlers:
        if handler not in handlers:
            handler.close()
    if settings.log_file:
        handlers.append(_LogFile(settings.log_file, handlers, max_file_bytes))
        handlers[-1].setFormatter(handlers[0].formatter)
        handlers[-1].setLevel(settings.log_level)
    logger.handlers[:] = handlers
    _route_libraries(handlers, former)


def set_up_early_logging(log_format: str) -> None:
    """Send the log to standard error while the configuration is still unchecked."""
    _set_up_logger(log_format, "INFO")


def capture_standard_error() -> None:
    """Turn warnings, uncaught exceptions and other output to standard error into log lines."""
    sys.stderr = _LoggedStream(sys.stderr)
    sys.excepthook = _log_exception
    threading.excepthook = lambda args: _log_exception(
        args.exc_type, args.exc_value, args.exc_traceback
    )
    logging.captureWarnings(True)


def _set_up_logger(log_format: str, level: str) -> None:
    formatter = JsonFormatter() if log_format == "json" else TextFormatter()
    # UTC, like every other time in the output.
    formatter.converter = time.gmtime
    logzero.setup_logger(name=logger.name, level=logging.getLevelName(level), formatter=formatter)


def _route_libraries(handlers: list[logging.Handler], former: list[logging.Handler]) -> None:
    # The root level stays WARNING, unless an embedding program has changed it: at DEBUG, libraries
    # log URLs with tokens, and whole requests and responses.
    root = logging.getLogger()
    for handler in former:
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    for name in SELF_CONFIGURING:
        library = logging.getLogger(name)
        library.setLevel(logging.WARNING)
        library.handlers.clear()
        library.addFilter(_shorten_client_faults)
    for name in REPORTING_REDIS:
        logging.getLogger(name).addFilter(_is_not_of_redis)


def _is_not_of_redis(record: logging.LogRecord) -> bool:
    message = record.getMessage().lower()
    return "redis" not in message and "rate limit storage" not in message


def _shorten_client_faults(record: logging.LogRecord) -> bool:
    """Drop the traceback of a record if a client's packet caused the error, not our code."""
    message = record.getMessage()
    if record.exc_info and record.exc_info[1]:
        frames = traceback.extract_tb(record.exc_info[2])
        if not _is_ours(frame.filename for frame in frames):
            error = record.exc_info[1]
            record.msg, record.args = "%s (%s: %s)", (message, type(error).__name__, error)
            record.exc_info = record.exc_text = None
    elif TRACE in message:
        # Werkzeug writes the traceback into the message.
        lines = message.rstrip().split("\n")
        record.msg, record.args = "%s: %s", (lines[0], lines[-1])
        if _is_ours(TRACED_FILE.findall(message)):
            record.stack_info = message
    return True


def _is_ours(files: Iterable[str]) -> bool:
    """Return whether the innermost frame is in our code, not in a protocol library."""
    ours = False
    for file in files:
        if file.startswith(f"{ROOT / 'app'}{os.sep}"):
            ours = True
        elif any(f"{os.sep}{library}{os.sep}" in file for library in PROTOCOL_LIBRARIES):
            ours = False
    return ours


class _LogFile(logging.handlers.RotatingFileHandler):
    """LOG_FILE: private, rotated. A write error is reported once, by the other handlers."""

    def __init__(self, path: Any, others: list[logging.Handler], max_bytes: int) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=OLD_FILES, encoding="utf-8")
        self._others = list(others)
        self._is_failing = False
        self._failed = False

    def _open(self) -> io.TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return io.TextIOWrapper(
            io.BufferedWriter(io.FileIO(descriptor, "a")), encoding=self.encoding
        )

    def emit(self, record: logging.LogRecord) -> None:
        self._failed = False
        super().emit(record)
        self._is_failing = self._failed

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        self._failed = True
        if not self._is_failing:
            error = sys.exc_info()[1]
            report = logger.makeRecord(
                logger.name, logging.ERROR, "", 0, "LOG_FILE cannot be written: %s", (error,), None
            )
            for handler in self._others:
                handler.handle(report)


class _LoggedStream(io.TextIOBase):
    """Standard error, with each line turned into a log line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pending = ""
        self._trace: list[str] = []
        self._local = threading.local()

    def write(self, text: str) -> int:
        # An error while a line is logged must not be logged in turn.
        if getattr(self._local, "busy", False):
            return len(text)
        *lines, self._pending = (self._pending + text).split("\n")
        self._local.busy = True
        try:
            for line in filter(str.strip, lines):
                self._log(line)
        finally:
            self._local.busy = False
        return len(text)

    def _log(self, line: str) -> None:
        """Log a line; a traceback becomes one record, with its last line as the message."""
        if line.startswith(TRACE):
            self._trace = [line]
        elif self._trace and line.startswith(" "):
            self._trace.append(line)
        else:
            trace, self._trace = "\n".join(self._trace), []
            record = logger.makeRecord(logger.name, logging.WARNING, "", 0, "%s", (line,), None)
            if _is_ours(TRACED_FILE.findall(trace)):
                record.stack_info = trace
            logger.handle(record)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


def _log_exception(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    # The interpreter's hook would write a separate line for each line of the traceback.
    logger.critical("the program failed", exc_info=(kind, error or kind(), trace))
