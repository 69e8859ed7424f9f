"""Yahoo Finance on loopback: what yfinance 1.7 asks of it, as it answers.

One server stands for all of Yahoo's hosts, told apart by their paths: fc.yahoo.com (a cookie),
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
# How far back each interval reaches and how much of it one request may span, in days.
REACH = {"1m": 30, "5m": 60, "15m": 60, "1h": 730}
MAX_AT_ONCE = {"1m": 8}
CONSENT_PAGE = (
    "<html><form method='post'><input name='csrfToken' value='{token}'/>"
    "<input name='sessionId' value='s-1'/></form></html>"
)

# Time of the beginning, open, high, low, close; None is what Yahoo writes as null.
Row = tuple[datetime, float | None, float | None, float | None, float | None]


@dataclass(frozen=True)
class Failure:
    """How to misbehave: wait first, then answer so. Without a body, the true answer follows."""

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
    """Set prices, candles and troubles (by symbol, or by the path of another request)."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.metadata: dict[str, dict[str, Any]] = {}
        self.rows: dict[tuple[str, str], list[Row]] = {}
        self.troubles: dict[str, Failure] = {}
        self.requests: list[Request] = []
        self.tunnels: list[str] = []
        self.most_at_once = 0
        self._under_way = 0
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
        """Have a latest price; `metadata` changes what else a chart says of the symbol."""
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
        """Have candles, in any order."""
        self.set_price(symbol, 1.0)
        self.rows[symbol, interval] = sorted(rows, key=lambda row: row[0])

    def expire_cookies(self) -> None:
        """Know only cookies and crumbs that are given from now on."""
        self._cookie = secrets.token_hex(16)
        self.crumb = secrets.token_urlsafe(8)

    def charts(self) -> list[Request]:
        """Return the requests for charts so far."""
        return [each for each in self.requests if each.path.startswith(CHART)]

    def answer(self, request: Request) -> tuple[int, str, dict[str, str]]:
        """Return status, body and headers; where a trouble says so, late."""
        with self._lock:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            return self._answer(request)
        finally:
            with self._lock:
                self._under_way -= 1

    def _answer(self, request: Request) -> tuple[int, str, dict[str, str]]:
        self.requests.append(request)
        name = request.symbol if request.path.startswith(CHART) else request.path
        trouble = self.troubles.get(name) or self.troubles.get("*" if name != request.path else "")
        if trouble:
            self._stopping.wait(trouble.delay)
            if trouble.body is not None:
                return trouble.status, trouble.body, dict(trouble.headers)
        match request.path:
            case "/":
                # fc.yahoo.com has no page, and sets the cookie with its 404.
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
        """Tell whether a Cookie header holds the cookie that this server gave."""
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
            # A range is up to this moment, which belongs to it.
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
        # Python writes NaN, which JSON does not know and Yahoo has been seen to send.
        return 200, json.dumps({"chart": {"result": [result], "error": None}}), {}

    def _refusal(self, interval: str, begin: int, end: int) -> str | None:
        """Return what Yahoo says to a span that it does not give."""
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
        timestamps = [int(each.timestamp()) for each in times]
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
        # With a body as well: yfinance sends one with the GET that copies a consent.
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer()

    def do_POST(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
        # What a client asks of a proxy.
        self.server.yahoo.tunnels.append(self.path)
        self.send_error(403)

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""

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
            # The client has given up, as it should when an answer takes too long.
            self.close_connection = True
