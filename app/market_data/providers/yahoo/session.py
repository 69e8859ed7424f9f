"""The HTTP session that yfinance is given: bounded in time and number, strict about answers.

Importing this module loads curl; only `charts.py` does.
"""

from __future__ import annotations

import json
import queue
import threading
import time
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
# At once. Each occupies one of the real threads (10 under gevent, 20 under eventlet) that hashing
# passwords needs as well.
MAX_REQUESTS = 6
# Charts come without the cookie and crumb that yfinance asks for first: these must not hold them
# up, and where a blocklist keeps them away, must not be asked for again and again.
COOKIE_SECONDS = 1.5
COOKIE_REST_SECONDS = 300.0
# Yahoo names no time after which its limit is over.
RATE_LIMIT_SECONDS = 60.0
MAX_REST_SECONDS = 900.0


class NoChart(Exception):
    """Yahoo says that it has no such symbol, or nothing of the time asked for."""


class _Handle(Curl):
    """curl, waiting in a real thread: it knows nothing of greenlets, and would hold them all up."""

    def perform(self, *args: Any, **options: Any) -> None:
        error = run_blocking(_failure_of, super().perform, *args, **options)
        if error is not None:
            raise error


def _failure_of(work: Callable[..., None], *args: Any, **options: Any) -> CurlError | None:
    # Returned, since gevent prints whatever is raised in one of its threads.
    try:
        work(*args, **options)
    except CurlError as error:
        return error
    return None


class YahooSession(Session[Response]):
    """curl under a deadline, and charts or nothing."""

    def __init__(self, root_url: str | None) -> None:
        """Send what is meant for Yahoo's hosts to `root_url` instead, where there is one."""
        super().__init__(impersonate="chrome")
        self._root = urlsplit(root_url) if root_url else None
        self._turn = threading.local()
        self._cookies_rest_until = 0.0
        self._cookie_page: Response | None = None
        # The handles keep their connections, whichever thread has them next.
        self._handles: queue.LifoQueue[Curl] = queue.LifoQueue()
        for _ in range(MAX_REQUESTS):
            self._handles.put(_Handle())

    @property
    def curl(self) -> Curl:
        """The handle of the request that this thread is making."""
        handle: Curl = self._turn.handle
        return handle

    @contextmanager
    def within(self, request_seconds: float, deadline: float) -> Iterator[None]:
        """Bound each request that this thread makes, and all of them by a monotonic time."""
        self._turn.seconds = request_seconds
        self._turn.deadline = deadline
        self._turn.refusals = 0
        yield

    def request(self, method: Any, url: str, *args: Any, **options: Any) -> Response:
        """Make one request; raise NoChart, SourceUnavailable or a curl error."""
        parts = urlsplit(url)
        url = self._address(url)
        if parts.path.startswith(CHART):
            options["timeout"] = self._turn.seconds
            return self._checked(self._perform(method, url, *args, **options))
        if parts.hostname != COOKIE_HOST:
            return self._request_aside(method, url, *args, **options)
        if self._cookie_page is None:
            self._cookie_page = self._request_aside(method, url, *args, **options)
        # yfinance asks again before each chart, unless it may keep cookies on disk.
        return self._cookie_page

    def _request_aside(self, method: Any, url: str, *args: Any, **options: Any) -> Response:
        """Make one of the requests for cookie, consent and crumb, which charts can do without."""
        if time.monotonic() < self._cookies_rest_until:
            raise ConnectionError("cookies could not be had a moment ago")
        options["timeout"] = COOKIE_SECONDS
        try:
            return self._perform(method, url, *args, **options)
        except RequestException:
            self._cookies_rest_until = time.monotonic() + COOKIE_REST_SECONDS
            raise

    def _perform(self, method: Any, url: str, *args: Any, **options: Any) -> Response:
        try:
            self._turn.handle = self._handles.get(timeout=self._time_left())
        except queue.Empty:
            raise Timeout("no connection became free in time") from None
        try:
            options["timeout"] = min(options["timeout"], self._time_left())
            return super().request(method, url, *args, **options)
        finally:
            self._handles.put(self._turn.handle)
            del self._turn.handle

    def _time_left(self) -> float:
        seconds: float = self._turn.deadline - time.monotonic()
        if seconds <= 0:
            raise Timeout("the time for this question is over")
        return seconds

    def _address(self, url: str) -> str:
        """Return `url` with its symbol quoted, at the root URL if it was one of Yahoo's."""
        parts = urlsplit(url)
        if parts.path.startswith(CHART):
            # An index begins with ^, and M&M has an ampersand.
            parts = parts._replace(path=CHART + quote(parts.path.removeprefix(CHART), safe=""))
        if self._root and f".{parts.hostname}".endswith(".yahoo.com"):
            path = self._root.path.rstrip("/") + parts.path
            parts = parts._replace(scheme=self._root.scheme, netloc=self._root.netloc, path=path)
        return urlunsplit(parts)

    def _checked(self, response: Response) -> Response:
        """Return a chart, or what yfinance knows an answer to: a consent page, a stale crumb."""
        status = response.status_code
        if status == 429:
            # Before yfinance does, which would ask for a cookie, a crumb and the chart once more.
            raise SourceUnavailable(
                "Yahoo limits our requests (HTTP 429)", retry_after=_retry_after(response)
            )
        if CHART not in urlsplit(response.url).path:
            return response
        if status in (401, 403) and self._turn.refusals == 0:
            self._turn.refusals = 1
            self._cookie_page = None
            return response
        if status in (400, 404, 422) and _is_chart(response):
            raise NoChart(response.text[:200])
        if status != 200:
            raise SourceUnavailable(f"Yahoo answered HTTP {status}")
        if not _is_chart(response):
            raise SourceUnavailable("Yahoo answered with something that is not a chart")
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
    return min(max(seconds, 1.0), MAX_REST_SECONDS)
