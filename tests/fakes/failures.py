"""Failures of an HTTP server below the level of its API."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from enum import StrEnum
from http.server import BaseHTTPRequestHandler
from typing import Any

Request = BaseHTTPRequestHandler


class Failure(StrEnum):
    """A failure without one of the vendor's codes."""

    ACCESS_RATE = "answer the plain text of Angel One's gateway, with 403"
    SERVER_ERROR = "answer a page of HTML, with 502"
    GARBAGE = "answer bytes that are not text"
    OTHER_JSON = "answer JSON of another shape"
    ECHO = "fail, and repeat the whole request in the message"
    REDIRECT = "redirect to another path"
    HANG = "answer nothing"
    DRIP = "send the body a byte at a time"
    DRIP_HEADERS = "send a header a byte at a time"
    HUGE = "send an endless body"
    RESET = "break the connection"


def misbehave(request: Request, how: Failure, closing: threading.Event, request_text: str) -> None:
    """Fail a request; endless failures end when `closing` is set."""
    if how in _ANSWERS:
        _ANSWERS[how](request)
    elif how is Failure.ECHO:
        send_json(request, {"status": False, "message": request_text, "errorcode": "AB9999"})
    elif how is Failure.HANG:
        closing.wait()
        request.close_connection = True
    elif how is Failure.RESET:
        _reset(request)
    else:
        _send_endlessly(request, how, closing)


def send_json(request: Request, answer: Any) -> None:
    """Answer 200 with JSON."""
    _send(request, json.dumps(answer).encode())


def send_reply(request: Request, body: str, status: int) -> None:
    """Answer with this body and status."""
    _send(request, body.encode(), status)


def _send(
    request: Request, body: bytes, status: int = 200, content_type: str = "application/json"
) -> None:
    request.send_response(status)
    request.send_header("Content-Type", content_type)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def _redirect(request: Request) -> None:
    request.send_response(302)
    request.send_header("Location", "/elsewhere")
    request.send_header("Content-Length", "0")
    request.end_headers()


def _reset(request: Request) -> None:
    # With a linger time of 0, closing the socket sends a reset.
    option = struct.pack("ii", 1, 0)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
    request.wfile.close()
    request.rfile.close()
    request.connection.close()
    request.close_connection = True


def _send_endlessly(request: Request, how: Failure, closing: threading.Event) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    start, piece, pause = {
        Failure.DRIP: (b"Content-Length: 1000000\r\n\r\n", b" ", 0.05),
        Failure.DRIP_HEADERS: (b"X-Slow: ", b"x", 0.05),
        Failure.HUGE: (b"Connection: close\r\n\r\n", b" " * 65_536, 0),
    }[how]
    request.wfile.write(start)
    while not closing.wait(pause):
        request.wfile.write(piece)


_ANSWERS: dict[Failure, Callable[[Request], None]] = {
    Failure.ACCESS_RATE: lambda request: _send(
        request, b"Access denied because of exceeding access rate", 403, "text/plain"
    ),
    Failure.SERVER_ERROR: lambda request: _send(
        request, b"<html>Bad Gateway</html>", 502, "text/html"
    ),
    Failure.GARBAGE: lambda request: _send(request, b"\x80\xff{{{"),
    Failure.OTHER_JSON: lambda request: send_json(request, {"status": True, "data": "yes"}),
    Failure.REDIRECT: _redirect,
}
