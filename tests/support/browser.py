"""Web pages on loopback that use the API and its sockets from a real browser."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.support.server import ROOT

SOCKET_IO = ROOT / "node_modules" / "socket.io-client" / "dist" / "socket.io.min.js"

REST = """async ({url, path, token}) => {
  const headers = {Authorization: `Bearer ${token}`, "Content-Type": "application/json"};
  const created = await fetch(`${url}/portfolio/create`, {method: "POST", headers, body: "{}"});
  const shown = await fetch(url + path, {headers});
  return {statuses: [created.status, shown.status], body: await shown.json(),
          requestId: shown.headers.get("X-Request-ID")};
}"""
SOCKET = """({url, token, userId}) => new Promise((resolve, reject) => {
  const socket = io(url, {auth: {token}, reconnection: false});
  const received = {};
  socket.on("live_price", (price) => {
    received.price = price;
    if (received.joined) { socket.disconnect(); resolve(received); }
  });
  socket.on("connect", async () => {
    received.joined = await socket.emitWithAck("join", {user_id: userId});
  });
  socket.on("connect_error", (error) => reject(error));
})"""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's chromium; end it afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@contextmanager
def sites(count: int) -> Iterator[list[str]]:
    """Serve the Socket.IO client on a page of `count` origins; yield their addresses."""
    with ExitStack() as stops:
        folder = stops.enter_context(tempfile.TemporaryDirectory())
        shutil.copy(SOCKET_IO, folder)
        Path(folder, "index.html").write_text(
            "<!doctype html><link rel=icon href=data:,><script src=socket.io.min.js></script>"
        )
        handler = partial(QuietHandler, directory=folder)
        servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(count)]
        for server in servers:
            thread = threading.Thread(target=server.serve_forever, args=[0.05])
            thread.start()
            stops.callback(thread.join)
            stops.callback(server.server_close)
            stops.callback(server.shutdown)
        yield [f"http://127.0.0.1:{server.server_port}" for server in servers]
