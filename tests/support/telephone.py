"""A local server that speaks the one call of Twilio's API we make."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TOKEN = "a-token-of-the-telephone-exchange"
HANG_UP = 0


class TelephoneExchange:
    """Takes text messages; answers with `status`, or hangs up."""

    def __init__(self) -> None:
        self.status = 201
        self.paths: list[str] = []
        self.messages: list[dict[str, str]] = []
        self.credentials: list[str] = []

    @contextmanager
    def open(self) -> Iterator[str]:
        """Serve; yield the address of the API."""
        exchange = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                exchange.take(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"])).decode()
        self.paths.append(request.path)
        self.messages.append(dict(parse_qsl(body)))
        scheme, _, encoded = request.headers["Authorization"].partition(" ")
        self.credentials.append(f"{scheme} {base64.b64decode(encoded).decode()}")
        if self.status == HANG_UP:
            request.close_connection = True
            return
        answer = json.dumps(self._answer()).encode()
        request.send_response(self.status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)

    def _answer(self) -> dict[str, object]:
        if self.status == 201:
            return {"sid": "SM1", "status": "queued", "account_sid": ACCOUNT}
        return {"code": 21_211, "message": f"refused; token {TOKEN}", "status": self.status}
