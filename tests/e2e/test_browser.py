"""A real browser: the documentation page, and pages of other origins."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.support.live import LiveTrader
from tests.support.server import ROOT, ServerProcess

pytestmark = pytest.mark.needs("chromium")

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def origins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two web sites with the Socket.IO client on their page."""
    folder: Path = tmp_path_factory.mktemp("site")
    shutil.copy(SOCKET_IO, folder)
    (folder / "index.html").write_text(
        "<!doctype html><link rel=icon href=data:,><script src=socket.io.min.js></script>"
    )
    handler = partial(QuietHandler, directory=str(folder))
    sites = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
    threads = [threading.Thread(target=site.serve_forever) for site in sites]
    for thread in threads:
        thread.start()
    yield [f"http://127.0.0.1:{site.server_port}" for site in sites]
    for site, thread in zip(sites, threads, strict=True):
        site.shutdown()
        site.server_close()
        thread.join()


@pytest.fixture(scope="module")
def server(make_shared_server: Callable[..., ServerProcess], origins: list[str]) -> ServerProcess:
    return make_shared_server(CORS_ORIGINS=origins[0]).start()


@pytest.fixture
def trader(server: ServerProcess) -> LiveTrader:
    return LiveTrader(server)


def test_the_documentation_shows_the_routes_and_loads_nothing_from_elsewhere(
    page: Page, server: ServerProcess
) -> None:
    asked: list[str] = []
    errors: list[str] = []

    def note_if_sent(request: Request) -> None:
        # A request that the page's own policy stopped never left the browser.
        if request.failure != "csp":
            asked.append(request.url)

    page.on("requestfinished", lambda request: asked.append(request.url))
    page.on("requestfailed", note_if_sent)
    page.on("pageerror", lambda error: errors.append(str(error)))

    page.goto(f"{server.url}/docs")
    for route in ("/auth/register", "/portfolio/create", "/trades/create", "/notifications"):
        page.get_by_text(route).first.wait_for(timeout=15_000)
    page.wait_for_load_state("networkidle")

    hosts = {urlsplit(url).hostname for url in asked if url.startswith("http")}
    assert hosts == {"127.0.0.1"}
    assert not [url for url in asked if url.startswith(("ws:", "wss:", "ftp:"))]
    assert errors == []


def test_a_page_of_a_listed_origin_uses_the_api_and_its_sockets(
    page: Page, server: ServerProcess, origins: list[str], trader: LiveTrader
) -> None:
    page.goto(origins[0])
    shown = page.evaluate(
        REST,
        {"url": server.url, "path": f"/portfolio/{trader.client_id}", "token": trader.token},
    )
    received = page.evaluate(
        SOCKET, {"url": server.url, "token": trader.token, "userId": trader.client_id}
    )

    assert shown["statuses"] == [201, 200]
    assert shown["body"]["user_id"] == trader.client_id
    assert shown["requestId"]
    assert received["joined"]["ok"] is True
    assert received["price"]["source"] == "mock"


def test_a_page_of_an_unlisted_origin_gets_nothing(
    page: Page, server: ServerProcess, origins: list[str], trader: LiveTrader
) -> None:
    page.goto(origins[1])
    asked = {"url": server.url, "path": "/market/live/NIFTY", "token": trader.token}

    failed = page.evaluate("(asked) => (" + REST + ")(asked).catch((error) => error.name)", asked)
    plain = page.evaluate(
        "(url) => fetch(url).then((r) => r.json()).catch((error) => error.name)",
        f"{server.url}/market/live/NIFTY",
    )
    refused = page.evaluate(
        "(asked) => (" + SOCKET + ")(asked).catch((error) => error.message)",
        {"url": server.url, "token": trader.token, "userId": trader.client_id},
    )

    assert (failed, plain) == ("TypeError", "TypeError")
    assert "error" in refused
    assert trader.get(f"/portfolio/{trader.client_id}").status_code == 404
