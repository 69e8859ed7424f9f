"""Measure the desk in Chromium: first price, layout shift, CPU and memory. `make measure-desk`."""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect

from tests.support.browser import chromium
from tests.support.desk import Desk, context_of
from tests.support.recording_files import write_recording
from tests.support.server import ROOT, ServerProcess, servers_in

SHARES = ROOT / "app" / "market_data" / "data" / "simulated_shares.csv"
SYMBOLS = 50
TICKS_A_SECOND = 10
SLOWDOWN = 4
MB = 1_000_000
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


# Gives the page prices as its socket does, ten times a second.
FEED = """void setInterval(() => {
  const now = Date.now();
  m.store.setQuotes(SYMBOLS.map((symbol, place) => ({
    symbol, price: 500 + 20 * place + (Math.floor(now / 100) % 20) / 20, source: "replay", age: 0,
    previous_close: 500 + 20 * place, change: 0.5, change_pct: 0.1,
    timestamp: new Date(now).toISOString(),
  })));
}, 100)"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.measure", description=__doc__)
    parser.add_argument("--loads", type=int, default=5, help="page loads of each kind")
    parser.add_argument("--seconds", type=int, default=60, help="of the stream of ticks")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, servers_in(Path(folder)) as make:
        recording = write_recording(Path(folder) / "ticks.csv", _ticks(arguments.seconds + 300))
        server = make(
            MARKET_DATA="replay", REPLAY_FILE=recording, MONITOR_INTERVAL_SECONDS="0.1"
        ).start()
        with chromium() as browser:
            _measure_loads(browser, server, arguments.loads)
            for is_fed in (False, True):
                _measure_stream(browser, server, arguments.seconds, is_fed=is_fed)
    return 0


def _symbols() -> list[str]:
    lines = SHARES.read_text().splitlines()[1:]
    return ["^NSEI", *(f"{line.split(',')[0]}.NS" for line in lines)][:SYMBOLS]


def _ticks(seconds: int) -> Iterator[tuple[float, str, float]]:
    """Yield ticks of every symbol, which swing by a rupee around its price."""
    symbols = _symbols()
    for number in range(seconds * TICKS_A_SECOND):
        for place, symbol in enumerate(symbols):
            price = 500 + 20 * place + (number + place) % 20 * 0.05
            yield number / TICKS_A_SECOND, symbol, price


def _measure_loads(browser: Browser, server: ServerProcess, loads: int) -> None:
    with context_of(browser) as context:
        context.add_init_script(OBSERVER)
        desk = Desk(context.new_page(), server.url).open().start_demo()
        page = desk.page
        _fill_list(desk)
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
    before = _cpu(browser)
    page.reload(wait_until="commit")
    expect(page.locator("watch-row .last").first).to_have_text(re.compile(r"\d"), timeout=60_000)
    cpu = 1_000 * (_cpu(browser) - before)
    # A late shift is one as well.
    page.wait_for_timeout(2_000)
    measured = page.evaluate("window.measured")
    requests = page.evaluate("performance.getEntriesByType('resource').length")
    session.detach()
    return measured["price"], cpu, measured["shift"], requests


def _measure_stream(browser: Browser, server: ServerProcess, seconds: int, *, is_fed: bool) -> None:
    """Measure the page while prices arrive; a busy server sends fewer, so feed the page as well."""
    prices = 0

    def count(frame: str | bytes) -> None:
        nonlocal prices
        prices += str(frame).count('"symbol"')

    with context_of(browser) as context:
        page = context.new_page()
        page.on("websocket", lambda socket: socket.on("framereceived", count))
        desk = Desk(page, server.url).open().start_demo()
        _fill_list(desk)
        page.reload()
        page.wait_for_load_state("networkidle")
        if is_fed:
            desk.call("store.js", FEED.replace("SYMBOLS", json.dumps(_symbols())))
        session = context.new_cdp_session(page)
        session.send("Performance.enable")
        heaps = [_heap(session)]
        cpu, before, prices = _cpu(browser), _metric(session, "Timestamp"), 0
        for _ in range(4):
            page.wait_for_timeout(seconds * 250)
            heaps.append(_heap(session))
        elapsed = _metric(session, "Timestamp") - before
        share = (_cpu(browser) - cpu) / elapsed
        rate = prices / elapsed + is_fed * SYMBOLS * TICKS_A_SECOND
        print(
            f"{SYMBOLS} symbols, {rate:.0f} prices a second for {elapsed:.0f} s: "
            f"{share:.0%} of a core, heap {' '.join(f'{heap / MB:.1f}' for heap in heaps)} MB"
        )


def _fill_list(desk: Desk) -> None:
    """Replace the symbols of the watchlist by those of the recording."""
    body = json.dumps({"symbols": _symbols()})
    path = "`/watchlists/${watchlists[0].watchlist_id}`"
    desk.call(
        "api.js",
        f"m.get('/watchlists').then(({{watchlists}}) => m.patch({path}, {body})).then(() => null)",
    )


def _cpu(browser: Browser) -> float:
    """Return the processor time of the browser's pages so far, in seconds."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return sum(float(each["cpuTime"]) for each in processes if each["type"] == "renderer")


def _heap(session: CDPSession) -> float:
    session.send("HeapProfiler.collectGarbage")
    return _metric(session, "JSHeapUsedSize")


def _metric(session: CDPSession, name: str) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(each["value"]) for each in metrics if each["name"] == name)


if __name__ == "__main__":
    sys.exit(main())
