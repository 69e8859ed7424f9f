"""The trading desk in a browser, as its user sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Response, expect

from tests.support.server import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
TIMEOUT_MS = 30_000
# Lines of the console about requests: refusals are noted with their address, and a request
# without a server is no fault of the page.
ABOUT_REQUESTS = re.compile(r"Failed to load resource|WebSocket connection to")
# Refusals that the page shows in words, and requests that a sign-out overtook.
HARMLESS = frozenset({400, 401, 403, 409})


class Desk:
    """A page of the desk. `problems` are what no page may have: errors, and foreign requests."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.problems: list[str] = []
        page.set_default_timeout(TIMEOUT_MS)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("console", self._note_message)
        page.on("response", self._note_response)
        page.on("request", lambda request: self._note_address(request.url))
        page.on("websocket", lambda socket: self._note_address(socket.url))

    def _note_message(self, message: Any) -> None:
        if message.type == "error" and not ABOUT_REQUESTS.search(message.text):
            self.problems.append(f"console: {message.text}")

    def _note_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in HARMLESS:
            self.problems.append(f"{response.status}: {response.request.method} {response.url}")

    def _note_address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.url).netloc:
            self.problems.append(f"foreign: {url}")

    def open(self) -> Desk:
        """Load the page."""
        self.page.goto(self.url)
        return self

    def start_demo(self) -> Desk:
        """Open a demo account, and wait for its first price."""
        self.page.get_by_role("button", name="Start with a demo account").click()
        self.wait_for_price()
        return self

    def sign_in(self, name: str, password: str) -> Desk:
        """Sign in, and wait for the first price."""
        self.page.get_by_label("Email or client id").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.wait_for_price()
        return self

    def wait_for_price(self) -> None:
        """Wait until the watchlist shows a price."""
        expect(self.page.locator("watch-row .last").first).to_have_text(
            re.compile(r"\d"), timeout=TIMEOUT_MS
        )

    def call(self, module: str, expression: str) -> Any:
        """Return what an expression of a module `m` of the page is."""
        return self.page.evaluate(
            "import(new URL(" + json.dumps(module) + ", document.querySelector("
            f"'script[type=module]').src)).then((m) => {expression})"
        )

    @property
    def ticket(self) -> Locator:
        return self.page.locator("order-ticket")

    @property
    def trades(self) -> Locator:
        """The rows of open trades."""
        return self.page.locator("open-trades tbody tr")

    def show(self, tab: str) -> None:
        """Show a tab of the panel below the chart."""
        self.page.get_by_role("tab", name=re.compile(f"^{tab}")).click()

    def buy(self, quantity: int = 1) -> None:
        """Buy the chosen symbol at market, and wait for the open trade."""
        before = self.trades.count()
        self.ticket.get_by_label("Quantity", exact=True).fill(str(quantity))
        button = self.ticket.get_by_role("button", name=f"Buy {quantity} ")
        expect(button).to_be_enabled(timeout=TIMEOUT_MS)
        button.click()
        expect(self.trades).to_have_count(before + 1, timeout=TIMEOUT_MS)

    def violations(self) -> list[str]:
        """Return what axe-core finds wrong with the page as it is."""
        # As a file of the page's own origin would be: the policy stops inline scripts.
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)"
        )
        return [
            f"{each['id']}: {node['target']} {node['failureSummary']}"
            for each in found
            for node in each["nodes"]
        ]


@contextmanager
def context_of(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A browser profile of its own."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    yield context
    context.close()
