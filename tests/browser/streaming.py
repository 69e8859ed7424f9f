"""The page under a stream of prices that a server replays: its load, ages of prices, memory."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median, quantiles
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.support.desk import Desk, context_of
from tests.support.recording_files import OPENING
from tests.support.server import ROOT, ServerProcess

SHARES = ROOT / "app" / "market_data" / "data" / "simulated_shares.csv"
SYMBOLS = 50
TICKS_A_SECOND = 10
# Prices rise by a tick for so many ticks and begin again, so that a shown price tells which of the
# last ticks it is of.
CYCLE = 600
CYCLE_SECONDS = CYCLE / TICKS_A_SECOND
TICK_SIZE = 0.05
SAMPLE_MS = 5_000
LINE_SECONDS = 60
SETTLE_MS = 60_000
MB = 1_000_000
# The shown prices of the watchlist, and the time when they were read.
SHOWN = """() => {
  const list = document.querySelector("desk-app").shadowRoot.querySelector("watch-list");
  const rows = [...list.shadowRoot.querySelectorAll("watch-row")];
  const prices = rows.map((row) => row.shadowRoot.querySelector(".last").textContent);
  return {now: Date.now() / 1000, prices};
}"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the browser has used so far, in seconds of a core, and what the page holds now."""

    time: float
    page_cpu: float
    browser_cpu: float
    heap: float
    nodes: int
    listeners: int

    @classmethod
    def take(cls, browser: Browser, session: CDPSession) -> Reading:
        """Read after a collection of garbage."""
        session.send("HeapProfiler.collectGarbage")
        listed = session.send("Performance.getMetrics")["metrics"]
        metrics = {each["name"]: each["value"] for each in listed}
        seconds = cpu_seconds(browser)
        return cls(
            time=metrics["Timestamp"],
            page_cpu=seconds.pop("renderer"),
            browser_cpu=sum(seconds.values()),
            heap=metrics["JSHeapUsedSize"] / MB,
            nodes=int(metrics["Nodes"]),
            listeners=int(metrics["JSEventListeners"]),
        )


def cpu_seconds(browser: Browser) -> dict[str, float]:
    """Return the processor time of each kind of the browser's processes; pages are renderers."""
    session = browser.new_browser_cdp_session()
    seconds = {"renderer": 0.0}
    for each in session.send("SystemInfo.getProcessInfo")["processInfo"]:
        seconds[each["type"]] = seconds.get(each["type"], 0.0) + float(each["cpuTime"])
    session.detach()
    return seconds


def watched_symbols() -> list[str]:
    """Return the symbols of the recording and of the watchlist."""
    with SHARES.open(newline="") as file:
        shares = [f"{row[0]}.NS" for row in csv.reader(file)][1:SYMBOLS]
    return ["^NSEI", *shares]


def ticks(seconds: int) -> Iterator[tuple[float, str, float]]:
    """Yield ticks of every symbol, one after the other within a tenth of a second."""
    symbols = list(enumerate(watched_symbols()))
    for number in range(seconds * TICKS_A_SECOND):
        for place, symbol in symbols:
            price = first_price(place) + number % CYCLE * TICK_SIZE
            yield number / TICKS_A_SECOND + delay(place), symbol, price


def first_price(place: int) -> float:
    return 2_000 + 20.0 * place


def delay(place: int) -> float:
    """Return the seconds by which a symbol ticks after the first one."""
    return place / SYMBOLS / TICKS_A_SECOND


def fill_list(desk: Desk) -> None:
    """Replace the symbols of the watchlist by those of the recording."""
    body = json.dumps({"symbols": watched_symbols()})
    path = "`/watchlists/${watchlists[0].watchlist_id}`"
    desk.call(
        "api.js",
        f"m.get('/watchlists').then(({{watchlists}}) => m.patch({path}, {body})).then(() => null)",
    )


class Ages:
    """The ages of shown prices: the seconds since their ticks were due.

    The replay began at a time that no response tells. It is taken from the freshest of many prices
    that the server answers, which is late by a few milliseconds at most.
    """

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._opened_at = min(self._opening() for _ in range(100))

    def _opening(self) -> float:
        query = {"symbols": ",".join(watched_symbols())}
        quotes = self._server.request("GET", "/market/quotes", params=query).json()["quotes"]
        newest = max(datetime.fromisoformat(each["timestamp"]) for each in quotes)
        return time.time() - (newest - OPENING).total_seconds()

    def of(self, shown: dict[str, Any]) -> list[float]:
        """Return the age of each price that the page shows."""
        elapsed = shown["now"] - self._opened_at
        return [
            self._age(elapsed, place, float(text.strip().replace(",", "")))
            for place, text in enumerate(shown["prices"])
        ]

    @staticmethod
    def _age(elapsed: float, place: int, price: float) -> float:
        number = round((price - first_price(place)) / TICK_SIZE)
        age = (elapsed - number / TICKS_A_SECOND - delay(place)) % CYCLE_SECONDS
        # A clock that is milliseconds off makes a fresh price one of the future.
        return age - CYCLE_SECONDS if age > CYCLE_SECONDS - 1 else age


def measure_stream(browser: Browser, server: ServerProcess, seconds: int) -> None:
    """Print each minute what the page uses and how old its prices are, and the whole at last."""
    received = 0

    def count(frame: str | bytes) -> None:
        nonlocal received
        received += str(frame).count('"symbol"')

    with context_of(browser) as context:
        page = context.new_page()
        page.on("websocket", lambda socket: socket.on("framereceived", count))
        desk = Desk(page, server.url).open().start_demo()
        fill_list(desk)
        page.reload()
        prices = page.locator("watch-row .last", has_text=re.compile(r"\d"))
        expect(prices).to_have_count(SYMBOLS, timeout=SETTLE_MS)
        session = context.new_cdp_session(page)
        session.send("Performance.enable")
        ages = Ages(server)
        readings, all_ages, received = [Reading.take(browser, session)], list[float](), 0
        while (elapsed := readings[-1].time - readings[0].time) < seconds:
            line = _sample(page, ages, min(LINE_SECONDS, seconds - elapsed))
            all_ages += line
            readings.append(Reading.take(browser, session))
            print(_line(readings[-2:], received, line), flush=True)
            received = 0
        print("In all:", _line([readings[0], readings[-1]], None, all_ages), flush=True)


def _sample(page: Page, ages: Ages, seconds: float) -> list[float]:
    found: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        page.wait_for_timeout(SAMPLE_MS)
        found += ages.of(page.evaluate(SHOWN))
    return found


def _line(readings: Sequence[Reading], received: int | None, ages: list[float]) -> str:
    first, last = readings
    seconds = last.time - first.time
    rate = "" if received is None else f"{received / seconds:.0f} prices a second, "
    return (
        f"{seconds:.0f} s: {rate}page {(last.page_cpu - first.page_cpu) / seconds:.1%} of a core, "
        f"other processes of the browser {(last.browser_cpu - first.browser_cpu) / seconds:.1%}; "
        f"age of a shown price {median(ages):.2f} s, 99 % below {quantiles(ages, n=100)[-1]:.2f} "
        f"s, {max(ages):.2f} s at most; heap {first.heap:.2f} to {last.heap:.2f} MB, nodes "
        f"{first.nodes} to {last.nodes}, listeners {first.listeners} to {last.listeners}"
    )
