"""Write the screenshots of README and docs/desk.md: `make screenshots`."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from tests.support.browser import chromium
from tests.support.desk import Desk, context_of
from tests.support.server import ROOT, ServerProcess, servers_in

FOLDER = ROOT / "docs" / "images"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
# The same seed gives the same prices.
MARKET = {"MARKET_DATA": "simulated", "MARKET_SEED": "7", "MONITOR_INTERVAL_SECONDS": "1"}


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, servers_in(Path(folder)) as make:
        server = make(**MARKET).start()
        with chromium() as browser:
            for scheme in ("light", "dark"):
                _take(browser, server, f"desk-{scheme}", color_scheme=scheme)
            _take(browser, server, "desk-phone", is_phone=True, color_scheme="dark", **PHONE)
    return 0


def _take(
    browser: Browser, server: ServerProcess, name: str, *, is_phone: bool = False, **options: Any
) -> None:
    with context_of(browser, **options) as context:
        desk = Desk(context.new_page(), server.url).open().start_demo()
        desk.page.get_by_role("button", name="Skip").click()
        if is_phone:
            desk.page.get_by_role("button", name="Chart", exact=True).click()
            desk.page.locator("price-chart canvas").first.wait_for()
        else:
            desk.ticket.get_by_role("button", name=re.compile(r"^Stop-loss .0\.25%")).click()
            desk.ticket.get_by_role("button", name=re.compile(r"^Target .0\.25%")).click()
            desk.buy(2)
            desk.page.locator("price-chart canvas").first.wait_for()
        # The chart draws what it has received in its next frames.
        desk.page.wait_for_load_state("networkidle")
        desk.page.wait_for_timeout(2_000)
        desk.page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
