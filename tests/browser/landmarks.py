"""Where the landmarks of the desk are and which colours they have, on each kind of screen.

Pictures differ with the rendering of fonts; these figures do not. `make screenshots` keeps them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.support.browser import chromium
from tests.support.desk import Desk, context_of
from tests.support.recording_files import falling_and_rising, write_recording
from tests.support.server import servers_in

KEPT = Path(__file__).with_name("landmarks.json")
LAPTOP = {"width": 1280, "height": 800}
TABLET = {"width": 900, "height": 800}
PHONE = {"width": 360, "height": 740}
VIEWS = ("Watchlist", "Chart", "Order", "Trades", "Account")
# Pixels by which a landmark may be elsewhere.
TOLERANCE = 8
# x, y, width, height, background
Landmark = list[Any]
# The visible ones of these, by their path through the shadow roots.
FIND = """() => {
  const paths = [
    "top-bar", "top-bar|.controls", "first-trade|section", "watch-list", "watch-list|watch-row",
    "symbol-header", "symbol-header|.sides", "price-chart", "price-chart|chart-toolbar",
    "[role=tablist]", "[role=tabpanel]", "account-view|nav", "order-ticket", "order-ticket|.side",
    "order-ticket|#stop_loss", "order-ticket|.place", "nav",
  ];
  const found = {};
  for (const path of paths) {
    let element = document.querySelector("desk-app");
    for (const selector of path.split("|")) element = element?.shadowRoot?.querySelector(selector);
    const box = element?.getBoundingClientRect();
    if (!box?.width || !box.height) continue;
    const sizes = [box.x, box.y, box.width, box.height].map(Math.round);
    found[path] = [...sizes, getComputedStyle(element).backgroundColor];
  }
  return found;
}"""


def looks_of(page: Page) -> dict[str, dict[str, Landmark]]:
    """Return the landmarks of the page of a signed-in user, by screen, theme and view."""
    # Until its preview arrives, the ticket is shorter.
    page.locator("ticket-summary li").first.wait_for()
    looks = {}
    for name, size in (("laptop", LAPTOP), ("tablet", TABLET)):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            looks[f"{name}, {scheme}"] = page.evaluate(FIND)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    for view in VIEWS:
        page.get_by_role("navigation", name="Views").get_by_role("button", name=view).click()
        looks[f"phone, {view}"] = page.evaluate(FIND)
    return looks


def differences(found: dict[str, dict[str, Landmark]]) -> list[str]:
    """Return what differs from the kept landmarks in words."""
    kept: dict[str, dict[str, Landmark]] = json.loads(KEPT.read_text())
    return [
        f"{look}: {path} is {there}, was {before}"
        for look in sorted(kept.keys() | found.keys())
        for path in sorted(kept.get(look, {}).keys() | found.get(look, {}).keys())
        if not _are_alike(
            there := found.get(look, {}).get(path), before := kept.get(look, {}).get(path)
        )
    ]


def _are_alike(one: Landmark | None, other: Landmark | None) -> bool:
    if one is None or other is None:
        return one == other
    *box, colour = one
    *other_box, other_colour = other
    is_near = all(abs(a - b) <= TOLERANCE for a, b in zip(box, other_box, strict=True))
    return is_near and colour == other_colour


def main() -> int:
    """Keep the landmarks as they are now, on the market of the tests."""
    with tempfile.TemporaryDirectory() as folder, servers_in(Path(folder)) as make:
        recording = write_recording(Path(folder) / "falling.csv", falling_and_rising())
        server = make(MARKET_DATA="replay", REPLAY_FILE=recording, REPLAY_SPEED=0.1).start()
        with chromium() as browser, context_of(browser) as context:
            desk = Desk(context.new_page(), server.url).open().start_demo()
            KEPT.write_text(json.dumps(looks_of(desk.page), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
