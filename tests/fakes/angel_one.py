"""A fake of Angel One's SmartAPI on localhost: one account, and every known failure."""

from __future__ import annotations

import json
import re
import secrets
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, count, repeat
from typing import Any

import pyotp

from app.domain.candle import IST
from tests.fakes.failures import Failure, misbehave, send_json, send_reply

API_KEY = "not-a-real-api-key"
CLIENT_CODE = "X-client-77"
PIN = "not-a-real-pin"
TOTP_SECRET = "NOTAREALTOTPKEYFORTESTS2"
NIFTY = ("NSE", "99926000")
SENSEX = ("BSE", "99919000")

ROUTES = {
    "/rest/auth/angelbroking/user/v1/loginByPassword": "login",
    "/rest/auth/angelbroking/jwt/v1/generateTokens": "token",
    "/rest/secure/angelbroking/user/v1/getProfile": "profile",
    "/rest/secure/angelbroking/market/v1/quote": "quote",
    "/rest/secure/angelbroking/order/v1/getLtpData": "ltp",
    "/rest/secure/angelbroking/order/v1/searchScrip": "search",
    "/rest/secure/angelbroking/historical/v1/getCandleData": "candles",
}
OPEN_ROUTES = ("login", "token")
MAX_DAYS = {
    "ONE_MINUTE": 30,
    "FIVE_MINUTE": 100,
    "FIFTEEN_MINUTE": 200,
    "ONE_HOUR": 400,
    "ONE_DAY": 2000,
}
MAX_TOKENS = 50
DEMANDED_HEADERS = {
    "Content-type": "application/json",
    "Accept": "application/json",
    "X-UserType": "USER",
    "X-SourceID": "WEB",
    "X-ClientLocalIP": r"[0-9.]+",
    "X-ClientPublicIP": r"[0-9.]+",
    "X-MACAddress": r"[0-9a-f:]{17}",
}
MESSAGES = {
    "AB1004": "Something Went Wrong, Please Try After Sometime",
    "AB1007": "Invalid login or password",
    "AB1010": "AMX Session Expired",
    "AB1050": "Invalid totp",
    "AG8001": "Invalid Token",
    "AG8004": "Invalid API Key",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as received."""

    route: str
    at: float
    connection: int
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a given body, JSON or not."""

    body: str
    status: int = 200


class Refused(Exception):
    """The request fails with one of the vendor's codes."""


class FakeAngelOne:
    """Serves one account. Its attributes set its prices and its failures."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        # Usually numbers; a test may set invalid values.
        self.prices: dict[tuple[str, str], Any] = {NIFTY: 25_012.35, SENSEX: 81_001.2}
        # What a row has beside the price in the mode FULL.
        self.full_rows: dict[tuple[str, str], dict[str, Any]] = {}
        # Rows added to each response to a request for quotes, even if not requested.
        self.further_rows: list[Any] = []
        # By (token, interval): rows of an aware time, four prices and a volume.
        self.history: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
        self.feed_time: str | None = None
        self.codes_count_once = False
        self.requests_a_second: int | None = None
        self.login_delay = 0.0
        self.requests: list[Seen] = []
        self.connections = 0
        self._failures: dict[str, Iterator[str | Reply | None]] = defaultdict(lambda: iter(()))
        self._sessions: dict[str, str] = {}
        self._used_codes: set[str] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._connection_numbers = count(1)

    @contextmanager
    def serve(self, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        """Serve; yield the value for ANGEL_ROOT_URL."""
        handler = type("Handler", (_Handler,), {"angel": self})
        server = _Server(("127.0.0.1", 0), handler)
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        finally:
            self._closing.set()
            server.shutdown()
            thread.join()
            server.server_close()
            self.drop_connections()

    def drop_connections(self) -> None:
        """Close every open connection."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def variables(self, root: str) -> dict[str, str]:
        """Return the environment variables of an application that uses this account."""
        return {
            "ANGEL_API_KEY": API_KEY,
            "ANGEL_CLIENT_CODE": CLIENT_CODE,
            "ANGEL_PASSWORD": PIN,
            "ANGEL_TOTP_SECRET": TOTP_SECRET,
            "ANGEL_ROOT_URL": root,
        }

    def fail(self, route: str, how: str, times: int | None = None) -> None:
        """Fail the next `times` requests to a route, or all of them, by a Failure or a code."""
        self._failures[route] = repeat(how) if times is None else repeat(how, times)

    def say(
        self, route: str, answer: dict[str, Any] | str, status: int = 200, times: int | None = None
    ) -> None:
        """Answer the next `times` requests to a route, or all of them, with `answer`."""
        reply = Reply(answer if isinstance(answer, str) else json.dumps(answer), status)
        self._failures[route] = repeat(reply) if times is None else repeat(reply, times)

    def hang_after(self, route: str, answers: int) -> None:
        """Answer a number of requests to a route, and let the later ones hang."""
        self._failures[route] = chain(repeat(None, answers), repeat(Failure.HANG))

    def fail_in_turn(self, route: str, ways: Sequence[str]) -> None:
        """Fail one request to a route in each of these ways."""
        self._failures[route] = iter(ways)

    def recover(self) -> None:
        """End all failures."""
        self._failures.clear()

    def expire_sessions(self) -> None:
        """Invalidate every token."""
        with self._lock:
            self._sessions.clear()

    def sessions(self) -> dict[str, str]:
        """Return the feed token of each valid jwtToken."""
        with self._lock:
            return dict(self._sessions)

    def count(self, route: str) -> int:
        """Return the number of requests to a route."""
        return sum(request.route == route for request in list(self.requests))

    def busiest(self, seconds: float, *routes: str) -> int:
        """Return the maximum number of requests to the routes, or to all, within `seconds`."""
        times = [
            request.at for request in list(self.requests) if not routes or request.route in routes
        ]
        return max((sum(t <= other < t + seconds for other in times) for t in times), default=0)

    def take(self, request: _Handler) -> None:
        """Answer one request, or fail it as configured."""
        seen = self._note(request)
        if seen.route == "login":
            time.sleep(self.login_delay)
        fault = self._next_failure(seen.route)
        if isinstance(fault, Reply):
            send_reply(request, fault.body, fault.status)
            return
        if fault is not None and fault in list(Failure):
            credentials = [seen.headers.get(name) for name in ("X-PrivateKey", "Authorization")]
            misbehave(request, Failure(fault), self._closing, f"{credentials} {seen.body}")
            return
        try:
            if fault is not None:
                raise Refused(fault)
            answer = {"status": True, "message": "SUCCESS", "errorcode": ""}
            send_json(request, {**answer, "data": self._answer(seen)})
        except Refused as refusal:
            send_json(request, failure(str(refusal)))

    def opened(self, connection: socket.socket) -> int:
        with self._lock:
            self.connections += 1
            self._open.add(connection)
            return next(self._connection_numbers)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def _note(self, request: _Handler) -> Seen:
        size = int(request.headers.get("Content-Length") or 0)
        text = request.rfile.read(size)
        seen = Seen(
            ROUTES.get(request.path.partition("?")[0], "unknown"),
            time.monotonic(),
            request.number,
            request.path,
            dict(request.headers),
            json.loads(text) if text else {},
        )
        with self._lock:
            self.requests.append(seen)
        return seen

    def _next_failure(self, route: str) -> str | Reply | None:
        with self._lock:
            if fault := next(self._failures[route], None):
                return fault
            recent = sum(request.at > time.monotonic() - 1 for request in self.requests)
        if self.requests_a_second is not None and recent > self.requests_a_second:
            return Failure.ACCESS_RATE
        return None

    def _answer(self, seen: Seen) -> Any:
        if seen.headers.get("X-PrivateKey") != API_KEY:
            raise Refused("AG8004")
        for name, form in DEMANDED_HEADERS.items():
            if not re.fullmatch(form, seen.headers.get(name, "")):
                raise Refused("AB2000")
        token = seen.headers.get("Authorization", "").removeprefix("Bearer ")
        if seen.route not in OPEN_ROUTES and token not in self._sessions:
            raise Refused("AG8001")
        answer: Callable[[dict[str, Any]], Any] = getattr(self, f"_{seen.route}")
        return answer(seen.body)

    def _login(self, body: dict[str, Any]) -> dict[str, str]:
        if (body.get("clientcode"), body.get("password")) != (CLIENT_CODE, PIN):
            raise Refused("AB1007")
        code = str(body.get("totp"))
        if not pyotp.TOTP(TOTP_SECRET).verify(code, for_time=self._now()):
            raise Refused("AB1050")
        with self._lock:
            if self.codes_count_once and code in self._used_codes:
                raise Refused("AB1050")
            self._used_codes.add(code)
        return self._new_session()

    def _token(self, body: dict[str, Any]) -> dict[str, str]:
        if body.get("refreshToken") != "not-a-real-refresh-token":
            raise Refused("AB8050")
        return self._new_session()

    def _new_session(self) -> dict[str, str]:
        tokens = {
            "jwtToken": f"jwt.{secrets.token_hex(16)}",
            "refreshToken": "not-a-real-refresh-token",
            "feedToken": f"feed.{secrets.token_hex(16)}",
        }
        with self._lock:
            self._sessions[tokens["jwtToken"]] = tokens["feedToken"]
        return tokens

    def _profile(self, _body: dict[str, Any]) -> dict[str, Any]:
        return {"clientcode": CLIENT_CODE, "name": "TEST CLIENT", "exchanges": ["nse_cm", "bse_cm"]}

    def _quote(self, body: dict[str, Any]) -> dict[str, list[Any]]:
        requested = [
            (exchange, token)
            for exchange, tokens in body["exchangeTokens"].items()
            for token in tokens
        ]
        if len(requested) > MAX_TOKENS or body["mode"] not in ("LTP", "OHLC", "FULL"):
            raise Refused("AB2000")
        full = self.full_rows if body["mode"] == "FULL" else {}
        fetched = [self._row(key) | full.get(key, {}) for key in requested if key in self.prices]
        unfetched = [
            {
                "exchange": e,
                "symbolToken": t,
                "message": "Symbol token not found",
                "errorCode": "AB4046",
            }
            for e, t in requested
            if (e, t) not in self.prices
        ]
        return {"fetched": [*fetched, *self.further_rows], "unfetched": unfetched}

    def _row(self, key: tuple[str, str]) -> dict[str, Any]:
        row = {
            "exchange": key[0],
            "tradingSymbol": f"symbol {key[1]}",
            "symbolToken": key[1],
            "ltp": self.prices[key],
        }
        return {**row, "exchFeedTime": self.feed_time} if self.feed_time else row

    def _ltp(self, body: dict[str, Any]) -> dict[str, Any]:
        price = self.prices.get((body["exchange"], body["symboltoken"]))
        if price is None:
            raise Refused("AB4046")
        return {**body, "ltp": price}

    def _search(self, body: dict[str, Any]) -> list[dict[str, str]]:
        rows = [
            {"exchange": exchange, "tradingsymbol": f"symbol {token}", "symboltoken": token}
            for exchange, token in self.prices
        ]
        wanted = (body["exchange"], body["searchscrip"])
        return [
            row
            for row in rows
            if row["exchange"] == wanted[0] and wanted[1] in row["tradingsymbol"]
        ]

    def _candles(self, body: dict[str, Any]) -> list[list[Any]]:
        start, end = (
            datetime.strptime(body[name], "%Y-%m-%d %H:%M").replace(tzinfo=IST)
            for name in ("fromdate", "todate")
        )
        if end - start > timedelta(days=MAX_DAYS[body["interval"]]):
            raise Refused("AB2000")
        rows = self.history.get((body["symboltoken"], body["interval"]), [])
        return [
            [time.astimezone(IST).isoformat(), *rest]
            for time, *rest in rows
            if start <= time <= end
        ]


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Do not log clients that have disconnected."""


class _Handler(BaseHTTPRequestHandler):
    angel: FakeAngelOne
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.number = self.angel.opened(self.connection)

    def finish(self) -> None:
        self.angel.closed(self.connection)
        super().finish()

    def do_GET(self) -> None:
        self.angel.take(self)

    do_POST = do_GET  # noqa: N815 - the name is the standard library's

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def failure(code: str) -> dict[str, Any]:
    """Return the vendor's error answer for a code, in the shape of its server."""
    message = MESSAGES.get(code, f"Refused with {code}")
    if code.startswith("AG"):
        return {"success": False, "message": message, "errorCode": code, "data": ""}
    return {"status": False, "message": message, "errorcode": code, "data": None}
