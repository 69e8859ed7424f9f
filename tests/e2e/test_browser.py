"""A real browser: the documentation page, and pages of other origins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request

from tests.support.browser import REST, SOCKET, chromium, sites
from tests.support.live import LiveTrader
from tests.support.server import ServerProcess

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture(scope="module")
def origins() -> Iterator[list[str]]:
    """Two web sites with the Socket.IO client on their page."""
    with sites(2) as origins:
        yield origins


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
    for section, route in {"auth": "/auth/register", "notifications": "/notifications"}.items():
        # The page shows a section when it is reached.
        page.get_by_text(section, exact=True).first.click(timeout=60_000)
        page.get_by_text(route).first.wait_for(timeout=60_000)
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
