"""The format of log lines: no value can be mistaken for another line or field.

Messages and fields contain input of clients. Unprintable characters are escaped and values are
cut. In text, a value that could be read as several fields is quoted.
"""

from __future__ import annotations

import logging
from math import isfinite
from numbers import Number
from typing import Any

import logzero

from app.logs import current_request_id, logger

TEXT_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
JSON_FORMAT = "%(asctime)s %(levelname)s %(message)s"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
MAX_VALUE_LENGTH = 200
MAX_MESSAGE_LENGTH = 1000


def escape(value: object, max_length: int = MAX_VALUE_LENGTH) -> str:
    """Return a value as one line of printable text, cut to `max_length` characters."""
    # Escaping never shortens text, so the rest would be cut anyway.
    text = str(value)[: max_length + 1]
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
        )
    return text if len(text) <= max_length else f"{text[: max_length - 3]}..."


def quote(text: str) -> str:
    """Return text in quotation marks if it could be read as more than one value."""
    if text and not any(char in text for char in ' ="'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Argument:
    """An argument of a message that formats as escaped text."""

    def __init__(self, value: object, *, quoted: bool) -> None:
        self._value = value
        self._quoted = quoted

    def __str__(self) -> str:
        return self._shown(str(self._value))

    def __repr__(self) -> str:
        return self._shown(repr(self._value))

    def _shown(self, text: str) -> str:
        text = escape(text)
        return quote(text) if self._quoted and "=" in text else text


def _message(record: logging.LogRecord, *, quoted: bool) -> str:
    args: Any = record.args
    if isinstance(args, dict):
        args = {name: _argument(value, quoted=quoted) for name, value in args.items()}
    elif args:
        args = tuple(_argument(value, quoted=quoted) for value in args)
    message = escape(str(record.msg) % args if args else record.msg, MAX_MESSAGE_LENGTH)
    if not args and quoted and "=" in message:
        message = quote(message)
    # Lines of libraries begin with the name of their logger.
    return message if record.name == logger.name else f"{record.name}: {message}"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record, and the request that caused it."""
    fields = getattr(record, "fields", None) or {}
    current = current_request_id.get()
    return fields if current is None else {"request_id": current, **fields}


def _argument(value: object, *, quoted: bool) -> object:
    # Numbers keep their type, because a message may format them with %d or %.1f.
    return value if isinstance(value, Number) else _Argument(value, quoted=quoted)


def _trace(formatted: str) -> str:
    """Return a traceback whose lines cannot be mistaken for log lines."""
    lines = formatted.split("\n")
    return "\n".join(f"  | {escape(line, MAX_MESSAGE_LENGTH)}" for line in lines)


class TextFormatter(logging.Formatter):
    """The message, followed by the fields of the record as name=value."""

    def __init__(self) -> None:
        super().__init__(TEXT_FORMAT, TIME_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        record.message = _message(record, quoted=True)
        fields = _fields(record)
        pairs = [f"{name}={quote(escape(value))}" for name, value in fields.items()]
        return " ".join([super().formatMessage(record), *pairs])

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return _trace(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's own name
        return _trace(stack_info)


# logzero has no types, so its class is Any to mypy.
class JsonFormatter(logzero.JsonFormatter):  # type: ignore[misc]
    """logzero's JSON line with the fields of the record."""

    def __init__(self) -> None:
        super().__init__(JSON_FORMAT, TIME_FORMAT, json_ensure_ascii=True)

    def add_fields(
        self, log_record: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Write the message and the fields, with input of clients escaped."""
        log_record.update(
            asctime=record.asctime,
            levelname=record.levelname,
            message=_message(record, quoted=False),
        )
        for name, value in _fields(record).items():
            log_record.setdefault(name, _plain(value))
        for name in ("exc_info", "stack_info"):
            if message_dict.get(name):
                log_record[name] = _trace(str(message_dict[name]))


def _plain(value: object) -> object:
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        return [escape(item, MAX_MESSAGE_LENGTH) for item in value]
    return escape(value)
