"""An HTTP server behind a proxy under test, which records what reaches it."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = b'{"answer": "' + b"x" * 2_000 + b'"}'


class Upstream:
    """Answers every request, except while it breaks off or holds them."""

    def __init__(self) -> None:
        # (method, headers) of each request, in order.
        self.received: list[tuple[str, dict[str, str]]] = []
        # Close the connection instead of answering.
        self.breaks_off = False
        # Requests are answered while it is set.
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._arrivals = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])
        self._thread.start()

    def close(self) -> None:
        """Refuse connections from now on."""
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for(self, count: int) -> None:
        """Wait until `count` requests have arrived."""
        with self._arrivals:
            assert self._arrivals.wait_for(lambda: len(self.received) >= count, 15)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            # Without kept connections, so that none is open when the server closes.
            protocol_version = "HTTP/1.0"

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with upstream._arrivals:
                    upstream.received.append((self.command, dict(self.headers)))
                    upstream._arrivals.notify_all()
                if upstream.breaks_off:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                upstream.may_answer.wait(15)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(ANSWER)))
                self.end_headers()
                self.wfile.write(ANSWER)

            do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - the names of the base class

            def log_message(self, *args: Any) -> None:
                """Log nothing."""

        return Handler
