"""A local server of Twilio's REST API: messages, the account, its numbers."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TOKEN = "a-token-of-the-telephone-twilio"
NUMBER = "+15550100"
MAX_BODY = 1_600
ROOT = f"/2010-04-01/Accounts/{ACCOUNT}"


@dataclass(frozen=True)
class Refusal:
    """An error response of Twilio; its text holds values that must not be passed on."""

    status: int
    code: int
    retry_after: str | None = None

    def to_json(self) -> dict[str, object]:
        return {
            "code": self.code,
            "message": f"refused; token {TOKEN}",
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


class TwilioServer:
    """Accepts messages from clients with the token; refuses or fails as configured.

    `refusals` are the responses to the next messages. `breaks` names the failure in place of a
    response: "hang", "hang up", "cut short" or "garbage".
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.refusals: list[Refusal] = []
        self.bad_numbers: set[str] = set()
        self.numbers: dict[str, dict[str, bool]] = {NUMBER: {"sms": True, "voice": True}}
        self.account_status = "active"
        self.breaks = ""
        self.url = ""
        self._closing = threading.Event()

    @property
    def environment(self) -> dict[str, Any]:
        """The variables that make a server send through this one."""
        return {
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_PHONE_NUMBER": NUMBER,
            "TWILIO_ROOT_URL": f"{self.url}/",
        }

    @contextmanager
    def open(self) -> Iterator[TwilioServer]:
        """Serve until the block ends."""
        twilio = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                twilio.serve(self, twilio.send)

            def do_GET(self) -> None:
                twilio.serve(self, twilio.look_up)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield self
        finally:
            self._closing.set()
            server.shutdown()
            thread.join()
            server.server_close()

    def serve(
        self,
        request: BaseHTTPRequestHandler,
        answer: Callable[[BaseHTTPRequestHandler, dict[str, str]], object],
    ) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0))).decode()
        path = urlsplit(request.path).path
        self.paths.append(path)
        if self.breaks == "hang":
            self._closing.wait()
        if self.breaks in ("hang", "hang up"):
            request.close_connection = True
            return
        if not self._knows(request.headers.get("Authorization", "")):
            said: object = Refusal(401, 20003)
        elif not path.startswith(ROOT):
            said = Refusal(404, 20404)
        else:
            said = answer(request, dict(parse_qsl(body)))
        self._answer(request, said)

    def _knows(self, authorization: str) -> bool:
        login = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        return authorization == f"Basic {login}"

    def send(self, _request: BaseHTTPRequestHandler, message: dict[str, str]) -> object:
        if self.refusals:
            return self.refusals.pop(0)
        if message["To"] in self.bad_numbers:
            return Refusal(400, 21211)
        if message["From"] not in self.numbers:
            return Refusal(400, 21606)
        if len(message["Body"]) > MAX_BODY:
            return Refusal(400, 21617)
        self.messages.append(message)
        return {"sid": f"SM{len(self.messages):032}", "status": "queued", "account_sid": ACCOUNT}

    def look_up(self, request: BaseHTTPRequestHandler, _body: dict[str, str]) -> object:
        parts = urlsplit(request.path)
        if parts.path == f"{ROOT}.json":
            return {"sid": ACCOUNT, "status": self.account_status, "type": "Full"}
        if parts.path != f"{ROOT}/IncomingPhoneNumbers.json":
            return Refusal(404, 20404)
        asked = parse_qs(parts.query)["PhoneNumber"][0]
        found = [
            {"sid": f"PN{number:0>32}", "phone_number": number, "capabilities": capabilities}
            for number, capabilities in self.numbers.items()
            if number == asked
        ]
        return {"incoming_phone_numbers": found, "page": 0, "page_size": 1, "next_page_uri": None}

    def _answer(self, request: BaseHTTPRequestHandler, said: object) -> None:
        refusal = said if isinstance(said, Refusal) else None
        done = 201 if request.command == "POST" else 200
        body = json.dumps(refusal.to_json() if refusal else said).encode()
        if self.breaks == "garbage":
            body = b"<html>Bad gateway</html>"
        request.send_response(refusal.status if refusal else done)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        if refusal and refusal.retry_after:
            request.send_header("Retry-After", refusal.retry_after)
        request.end_headers()
        if self.breaks == "cut short":
            request.wfile.write(body[: len(body) // 2])
            request.close_connection = True
            return
        request.wfile.write(body)
