"""A local HTTP or HTTPS server that receives webhooks, and answers as configured."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SECONDS = 20


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content


class Endpoint:
    """Records each request and answers `statuses` in their order, then 200.

    `headers` and `content` are those of every answer. `meanwhile` is called before it.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.content = b"ok"
        self.meanwhile: Callable[[], object] = lambda: None
        self.port = 0
        self._changed = threading.Condition()

    @property
    def seqs(self) -> list[int]:
        return [request.json["seq"] for request in self.received]

    def wait_for(self, count: int) -> list[Received]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, SECONDS)
            return list(self.received)

    @contextmanager
    def open(self, certificate: tuple[Path, Path] | None = None) -> Iterator[Endpoint]:
        """Serve on a free port of loopback, over TLS with a certificate and its key."""
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = endpoint._record(Received(self.path, headers, body))
                endpoint.meanwhile()
                self.send_response(status)
                for name, value in endpoint.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(endpoint.content)))
                self.end_headers()
                self.wfile.write(endpoint.content)

            def log_message(self, *_: Any) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        # A client that hangs up is a part of some tests.
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if certificate:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(*certificate)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def _record(self, request: Received) -> int:
        with self._changed:
            self.received.append(request)
            self._changed.notify_all()
            return self.statuses.pop(0) if self.statuses else 200
