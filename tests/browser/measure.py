"""Measure the desk in Chromium: first price, layout shift, CPU, ages of prices and memory."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.streaming import cpu_seconds, fill_list, measure_stream, ticks
from tests.support.browser import chromium
from tests.support.desk import Desk, context_of
from tests.support.recording_files import write_recording
from tests.support.server import ServerProcess, servers_in

SLOWDOWN = 4
# Beyond the stream itself: the loads before it, and a slow start of the server.
MORE_SECONDS = 300
# Each pass of the server waits until the database has stored what it writes, here not on a disk.
MEMORY = Path("/dev/shm")
# Kept from before the first element of the page, so that no shift and no price is missed.
OBSERVER = """
window.measured = {shift: 0, price: null};
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) window.measured.shift += entry.value;
  }
}).observe({type: "layout-shift", buffered: true});
const find = () => {
  const list = document.querySelector("desk-app")?.shadowRoot?.querySelector("watch-list");
  const rows = list?.shadowRoot?.querySelectorAll("watch-row") ?? [];
  const prices = [...rows].map((row) => row.shadowRoot?.querySelector(".last")?.textContent ?? "");
  if (prices.some((price) => /\\d/.test(price))) window.measured.price = performance.now();
  else requestAnimationFrame(find);
};
requestAnimationFrame(find);
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.measure", description=__doc__)
    parser.add_argument("--loads", type=int, default=5, help="page loads of each kind")
    parser.add_argument("--seconds", type=int, default=60, help="of the stream of ticks")
    arguments = parser.parse_args(argv)
    parent = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as folder, servers_in(Path(folder)) as make:
        path = Path(folder) / "ticks.csv"
        recording = write_recording(path, ticks(arguments.seconds + MORE_SECONDS))
        server = make(
            fresh=True,
            MARKET_DATA="replay",
            REPLAY_FILE=recording,
            MONITOR_INTERVAL_SECONDS="0.1",
        ).start()
        with chromium() as browser:
            if arguments.loads:
                _measure_loads(browser, server, arguments.loads)
            measure_stream(browser, server, arguments.seconds)
    return 0


def _measure_loads(browser: Browser, server: ServerProcess, loads: int) -> None:
    with context_of(browser) as context:
        context.add_init_script(OBSERVER)
        desk = Desk(context.new_page(), server.url).open().start_demo()
        page = desk.page
        fill_list(desk)
        page.reload()
        for name, has_cache in (("without a cache", False), ("with a cache", True)):
            slow = [_load(context, page, SLOWDOWN, has_cache=has_cache) for _ in range(loads)]
            # Slowing counts the time in which other programs run, so work is measured without it.
            fast = [_load(context, page, 1, has_cache=has_cache) for _ in range(loads)]
            prices, _, shifts, requests = zip(*slow, strict=True)
            print(
                f"Load {name}, slowed {SLOWDOWN} times: first price after {median(prices):.0f} ms "
                f"({min(prices):.0f} to {max(prices):.0f}), layout shift {max(shifts):.4f} at "
                f"most, {median(requests):.0f} requests; not slowed {_median(fast, 0):.0f} ms, of "
                f"which the page works {_median(fast, 1):.0f} ms"
            )


def _median(loads: list[tuple[float, ...]], place: int) -> float:
    return median(each[place] for each in loads)


def _load(
    context: BrowserContext, page: Page, slowdown: int, *, has_cache: bool
) -> tuple[float, ...]:
    """Load the page on a processor that is slowed so many times.

    Return ms to the first price, ms of processor time until then, the layout shift, and the number
    of requests.
    """
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": not has_cache})
    session.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    browser = context.browser
    assert browser is not None
    before = cpu_seconds(browser)["renderer"]
    page.reload(wait_until="commit")
    expect(page.locator("watch-row .last").first).to_have_text(re.compile(r"\d"), timeout=60_000)
    cpu = 1_000 * (cpu_seconds(browser)["renderer"] - before)
    # A late shift is one as well.
    page.wait_for_timeout(2_000)
    measured = page.evaluate("window.measured")
    requests = page.evaluate("performance.getEntriesByType('resource').length")
    session.detach()
    return measured["price"], cpu, measured["shift"], requests


if __name__ == "__main__":
    sys.exit(main())
