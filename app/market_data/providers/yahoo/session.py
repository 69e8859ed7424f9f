"""The HTTP session that yfinance uses: bounded in time, and strict about responses.

Importing this module loads curl; only `charts.py` does.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from curl_cffi import Curl, CurlError
from curl_cffi.requests import Response, Session
from curl_cffi.requests.exceptions import ConnectionError, RequestException, Timeout

from app.concurrency import run_blocking
from app.market_data.providers.base import SourceUnavailable

CHART = "/v8/finance/chart/"
COOKIE_HOST = "fc.yahoo.com"
TIME_ZONE = "Asia/Kolkata"
# yfinance first requests a cookie and a crumb, which charts do not need. They must not delay
# charts, and if a blocklist makes them fail, they must not be requested each time.
COOKIE_SECONDS = 1.5
COOKIE_PAUSE_SECONDS = 300.0
# Yahoo does not say when its rate limit ends.
RATE_LIMIT_SECONDS = 60.0
MAX_RATE_LIMIT_SECONDS = 900.0


class NoChart(Exception):
    """Yahoo has no such symbol, or nothing of the requested span."""


class _BlockingCurl(Curl):
    """curl in a real thread: it knows nothing of greenlets, and would block all of them."""

    def perform(self, *args: Any, **options: Any) -> None:
        error = run_blocking(_error_of, super().perform, *args, **options)
        if error is not None:
            raise error


def _error_of(work: Callable[..., None], *args: Any, **options: Any) -> CurlError | None:
    # Returned, because gevent prints every exception of its threads.
    try:
        work(*args, **options)
    except CurlError as error:
        return error
    return None


class _Call(threading.local):
    """The handle and the limits of the call that a thread is making."""

    handle: Curl
    seconds: float
    deadline: float
    refusals: int


class YahooSession(Session[Response]):
    """curl with a deadline. Of Yahoo's hosts for charts it accepts charts only."""

    def __init__(self, root_url: str | None) -> None:
        """Send requests for Yahoo's hosts to `root_url`, if there is one."""
        super().__init__(impersonate="chrome")
        self._root = urlsplit(root_url) if root_url else None
        self._call = _Call()
        # Handles that no call uses. They keep their connections for the next one.
        self._idle: deque[Curl] = deque()
        self._no_cookies_until = 0.0
        self._cookie_page: Response | None = None

    @property
    def curl(self) -> Curl:
        """The handle of the call that this thread is making."""
        return self._call.handle

    @contextmanager
    def limits(self, request_seconds: float, deadline: float) -> Iterator[None]:
        """Bound each request of this thread, and all of them by a monotonic time."""
        call = self._call
        call.seconds, call.deadline, call.refusals = request_seconds, deadline, 0
        try:
            call.handle = self._idle.pop()
        except IndexError:
            call.handle = _BlockingCurl()
        try:
            yield
        finally:
            self._idle.append(call.handle)

    def request(self, method: Any, url: str, *args: Any, **options: Any) -> Response:
        """Make one request; raise NoChart, SourceUnavailable or a curl error."""
        parts = urlsplit(url)
        if parts.path.startswith(CHART):
            parameters = (options.get("params") or {}).keys()
            # Every other request for a chart has further parameters.
            if parameters - {"crumb"} == {"range", "interval"}:
                return _time_zone_response(url)
            seconds = self._call.seconds
            return self._check(self._send(method, url, seconds, *args, **options))
        if parts.hostname != COOKIE_HOST:
            return self._request_cookie(method, url, *args, **options)
        if self._cookie_page is None:
            self._cookie_page = self._request_cookie(method, url, *args, **options)
        # Without a cookie on disk, yfinance requests this page before each chart.
        return self._cookie_page

    def _request_cookie(self, method: Any, url: str, *args: Any, **options: Any) -> Response:
        """Make a request for cookie, consent or crumb; pause them all after a failure."""
        if time.monotonic() < self._no_cookies_until:
            raise ConnectionError("cookie requests failed a moment ago")
        try:
            return self._send(method, url, COOKIE_SECONDS, *args, **options)
        except RequestException:
            self._no_cookies_until = time.monotonic() + COOKIE_PAUSE_SECONDS
            raise

    def _send(self, method: Any, url: str, seconds: float, *args: Any, **options: Any) -> Response:
        left = self._call.deadline - time.monotonic()
        if left <= 0:
            raise Timeout("the deadline has passed")
        # curl's timeout includes everything from the name lookup to the last byte.
        options["timeout"] = min(seconds, left)
        return super().request(method, self._address(url), *args, **options)

    def _address(self, url: str) -> str:
        """Return `url` with its symbol quoted, and with the root URL instead of Yahoo's."""
        parts = urlsplit(url)
        if parts.path.startswith(CHART):
            # Indices begin with ^, and M&M contains an ampersand.
            parts = parts._replace(path=CHART + quote(parts.path.removeprefix(CHART), safe=""))
        if self._root and f".{parts.hostname}".endswith(".yahoo.com"):
            path = self._root.path.rstrip("/") + parts.path
            parts = parts._replace(scheme=self._root.scheme, netloc=self._root.netloc, path=path)
        return urlunsplit(parts)

    def _check(self, response: Response) -> Response:
        """Return a chart, or a response that yfinance handles: a consent page, a stale crumb."""
        status = response.status_code
        if status == 429:
            # Handled here because yfinance would request a cookie, a crumb and the chart again.
            raise SourceUnavailable(
                "Yahoo limits our requests (HTTP 429)", retry_after=_retry_after(response)
            )
        if CHART not in urlsplit(response.url).path:
            return response
        if status in (401, 403) and self._call.refusals == 0:
            self._call.refusals = 1
            self._cookie_page = None
            return response
        if status in (400, 404, 422) and _is_chart(response):
            raise NoChart(response.text[:200])
        if status != 200:
            raise SourceUnavailable(f"Yahoo answered HTTP {status}")
        if not _is_chart(response):
            raise SourceUnavailable("Yahoo answered with something that is not a chart")
        return response


def _time_zone_response(url: str) -> Response:
    """Answer yfinance's first request of each ticker, which is for its time zone alone."""
    response = Response()
    response.url, response.status_code = url, 200
    meta = {"exchangeTimezoneName": TIME_ZONE}
    response.content = json.dumps({"chart": {"result": [{"meta": meta}], "error": None}}).encode()
    return response


def _is_chart(response: Response) -> bool:
    try:
        body = json.loads(response.content)
    except ValueError:
        return False
    return isinstance(body, dict) and isinstance(body.get("chart"), dict)


def _retry_after(response: Response) -> float:
    try:
        seconds = float(response.headers.get("Retry-After") or RATE_LIMIT_SECONDS)
    except ValueError:
        return RATE_LIMIT_SECONDS
    return min(max(seconds, 1.0), MAX_RATE_LIMIT_SECONDS)
