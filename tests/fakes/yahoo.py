"""A fake of Yahoo Finance on localhost, with every route that yfinance 1.7 requests.

One server replaces all of Yahoo's hosts, and distinguishes them by path: fc.yahoo.com (a cookie),
guce.yahoo.com and consent.yahoo.com (consent), query1 and query2.finance.yahoo.com (crumb, charts).
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

CHART = "/v8/finance/chart/"
IST = 19_800
SECONDS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86_400}
# How far back each interval reaches, and the maximum span of one request, in days.
REACH = {"1m": 30, "5m": 60, "15m": 60, "1h": 730}
MAX_AT_ONCE = {"1m": 8}
CONSENT_PAGE = (
    "<html><form method='post'><input name='csrfToken' value='{token}'/>"
    "<input name='sessionId' value='s-1'/></form></html>"
)

# Start, open, high, low, close. None is written as null.
Row = tuple[datetime, float | None, float | None, float | None, float | None]


@dataclass(frozen=True)
class Failure:
    """A delay, then this answer. Without a body, the correct answer follows the delay."""

    status: int = 200
    body: str | None = None
    delay: float = 0
    headers: dict[str, str] = field(default_factory=dict)


HANG = Failure(delay=3600)
RATE_LIMIT = Failure(429, "Too Many Requests\r\n")
GARBAGE = Failure(200, "<html><body>Will be right back...</body></html>")
BROKEN_JSON = Failure(200, '{"chart":{"result":[{"meta":{"currency"')
WRONG_SHAPE = Failure(200, '{"chart":{"result":[{"meta":[],"indicators":7}],"error":null}}')
OUTAGE = Failure(503, "upstream connect error")
EMPTY_RESULT = Failure(200, '{"chart":{"result":[],"error":null}}')


@dataclass(frozen=True)
class Request:
    path: str
    query: dict[str, str]
    has_cookie: bool
    port: int

    @property
    def symbol(self) -> str:
        return unquote(self.path.removeprefix(CHART))


class FakeYahoo:
    """Serves the prices, candles and failures that a test sets.

    Failures are by symbol, by the path of another request, or for all symbols under `*`.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.metadata: dict[str, dict[str, Any]] = {}
        self.rows: dict[tuple[str, str], list[Row]] = {}
        # Splits and dividends of a symbol, as Yahoo sends them.
        self.events: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, Failure] = {}
        self.requests: list[Request] = []
        self.tunnels: list[str] = []
        self.max_parallel = 0
        self._running = 0
        self._lock = threading.Lock()
        self.expire_cookies()
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeYahoo:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def set_price(
        self, symbol: str, price: Any, made_at: datetime | None = None, **metadata: Any
    ) -> None:
        """Set a latest price; `metadata` replaces other fields of the chart's metadata."""
        made_at = made_at or self.now
        self.rows[symbol, "1d"] = [(made_at, price, price, price, price)]
        self.metadata[symbol] = {
            "currency": "INR",
            "symbol": symbol,
            "exchangeName": "NSI",
            "instrumentType": "INDEX" if symbol.startswith("^") else "EQUITY",
            "gmtoffset": IST,
            "timezone": "IST",
            "exchangeTimezoneName": "Asia/Kolkata",
            "regularMarketTime": int(made_at.timestamp()),
            "regularMarketPrice": price,
            "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
            **metadata,
        }

    def set_rows(self, symbol: str, interval: str, rows: list[Row]) -> None:
        """Set candles, in any order."""
        self.set_price(symbol, 1.0)
        self.rows[symbol, interval] = sorted(rows, key=lambda row: row[0])

    def add_split(self, symbol: str, time: datetime, new: int, old: int) -> None:
        """Add a split to the charts of a symbol."""
        splits = self.events.setdefault(symbol, {}).setdefault("splits", {})
        moment = int(time.timestamp())
        ratio = {"numerator": new, "denominator": old, "splitRatio": f"{new}:{old}"}
        splits[str(moment)] = {"date": moment, **ratio}

    def add_dividend(self, symbol: str, time: datetime, amount: float) -> None:
        """Add a dividend to the charts of a symbol."""
        dividends = self.events.setdefault(symbol, {}).setdefault("dividends", {})
        moment = int(time.timestamp())
        dividends[str(moment)] = {"date": moment, "amount": amount}

    def expire_cookies(self) -> None:
        """Invalidate all cookies and crumbs."""
        self._cookie = secrets.token_hex(16)
        self.crumb = secrets.token_urlsafe(8)

    def charts(self) -> list[Request]:
        """Return the requests for charts."""
        return [request for request in self.requests if request.path.startswith(CHART)]

    def answer(self, request: Request) -> tuple[int, str, dict[str, str]]:
        """Return status, body and headers, after the delay of a failure."""
        with self._lock:
            self._running += 1
            self.max_parallel = max(self.max_parallel, self._running)
        try:
            return self._answer(request)
        finally:
            with self._lock:
                self._running -= 1

    def _answer(self, request: Request) -> tuple[int, str, dict[str, str]]:
        self.requests.append(request)
        name = request.symbol if request.path.startswith(CHART) else request.path
        failure = self.failures.get(name) or self.failures.get("*" if name != request.path else "")
        if failure:
            self._stopping.wait(failure.delay)
            if failure.body is not None:
                return failure.status, failure.body, dict(failure.headers)
        match request.path:
            case "/":
                # fc.yahoo.com has no page here; its 404 sets the cookie.
                return 404, "", {"Set-Cookie": f"A3={self._cookie}; Path=/; Max-Age=31557600"}
            case "/v1/test/getcrumb":
                if not request.has_cookie:
                    return 401, _error("Unauthorized", "Invalid Cookie", "finance"), {}
                return 200, self.crumb, {}
            case "/consent" | "/copyConsent":
                return 200, CONSENT_PAGE.format(token=secrets.token_hex(4)), {}
            case "/v2/collectConsent":
                return 200, "", {"Set-Cookie": f"A3={self._cookie}; Path=/; Max-Age=31557600"}
        if request.path.startswith(CHART):
            return self._chart(request)
        return 404, "", {}

    def is_own(self, cookies: str) -> bool:
        """Return whether a Cookie header contains the valid cookie."""
        morsel = SimpleCookie(cookies).get("A3")
        return morsel is not None and morsel.value == self._cookie

    def _chart(self, request: Request) -> tuple[int, str, dict[str, str]]:
        symbol, query = request.symbol, request.query
        if query.get("crumb", self.crumb) != self.crumb:
            return 401, _error("Unauthorized", "Invalid Crumb", "finance"), {}
        metadata = self.metadata.get(symbol)
        if metadata is None:
            return 404, _error("Not Found", "No data found, symbol may be delisted"), {}
        interval = query["interval"]
        if "period1" in query:
            begin, end = int(query["period1"]), int(query["period2"])
        else:
            # A range includes the present moment.
            end = int(self.now.timestamp()) + 1
            begin = end - 86_400
        refusal = self._refusal(interval, begin, end)
        if refusal:
            return 422, _error("Unprocessable Entity", refusal), {}
        rows = [
            row
            for row in self.rows.get((symbol, interval), [])
            if begin <= row[0].timestamp() < end
        ]
        result = self._result(metadata, interval, rows)
        if symbol in self.events:
            result["events"] = self.events[symbol]
        # json writes NaN, which is not valid JSON, but Yahoo has sent it.
        return 200, json.dumps({"chart": {"result": [result], "error": None}}), {}

    def _refusal(self, interval: str, begin: int, end: int) -> str | None:
        """Return Yahoo's error for a span that it does not allow, None if it does."""
        days = MAX_AT_ONCE.get(interval)
        if days and end - begin > days * 86_400:
            return f"{interval} data not available: only {days} days worth are allowed per request."
        reach = REACH.get(interval)
        if reach and begin < (self.now - timedelta(days=reach)).timestamp():
            return (
                f"{interval} data not available for startTime={begin} and endTime={end}. "
                f"The requested range must be within the last {reach} days."
            )
        return None

    def _result(self, metadata: dict[str, Any], interval: str, rows: list[Row]) -> dict[str, Any]:
        meta = dict(metadata, dataGranularity=interval)
        if interval != "1d":
            meta["tradingPeriods"] = [[_trading_period(day)] for day in sorted(_days(rows))]
        if not rows:
            # Before the first trade of a day, and on holidays.
            return {"meta": meta, "indicators": {"quote": [{}], "adjclose": [{}]}}
        times, opens, highs, lows, closes = (list(column) for column in zip(*rows, strict=True))
        quote = {"open": opens, "high": highs, "low": lows, "close": closes}
        indicators = {"quote": [{**quote, "volume": [100] * len(rows)}]}
        if interval == "1d":
            halved = [None if close is None else close / 2 for close in closes]
            indicators["adjclose"] = [{"adjclose": halved}]
        timestamps = [int(time.timestamp()) for time in times]
        return {"meta": meta, "timestamp": timestamps, "indicators": indicators}


def _days(rows: list[Row]) -> set[int]:
    return {(int(row[0].timestamp()) + IST) // 86_400 for row in rows}


def _trading_period(day: int) -> dict[str, Any]:
    midnight = day * 86_400 - IST
    begin, end = midnight + 33_300, midnight + 55_800
    return {"timezone": "IST", "gmtoffset": IST, "start": begin, "end": end}


def _error(code: str, description: str, part: str = "chart") -> str:
    return json.dumps({part: {"result": None, "error": {"code": code, "description": description}}})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], yahoo: FakeYahoo) -> None:
        super().__init__(address, _Handler)
        self.yahoo = yahoo


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        # yfinance sends a body even with the GET that copies a consent.
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer()

    def do_POST(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
        # A request to a proxy.
        self.server.yahoo.tunnels.append(self.path)
        self.send_error(403)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        has_cookie = self.server.yahoo.is_own(self.headers.get("Cookie", ""))
        request = Request(parts.path, query, has_cookie, self.client_address[1])
        status, body, headers = self.server.yahoo.answer(request)
        content = body.encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            # The client disconnected after its timeout.
            self.close_connection = True
