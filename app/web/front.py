"""The WSGI application in front of Flask and Socket.IO.

Every request gets its id here, and every response its security headers. Requests for unknown
hosts, from other web servers, by JSONP and for too many new sockets are refused before routing.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from limits import parse_many
from werkzeug.middleware.proxy_fix import ProxyFix

from app.configuration.origins import host_of, hosts_of, is_address, is_loopback
from app.domain.errors import InvalidRequest, PaperTradingError, RateLimited, Unavailable
from app.extensions import socketio
from app.logs import current_request_id, logger
from app.metrics import KEY as METRICS_KEY
from app.tracing import request_span
from app.transport.connections import CONNECTIONS_KEY
from app.transport.responses import error_body
from app.web.addresses import client_network
from app.web.cors import policy
from app.web.errors import status_of
from app.web.headers import SECURITY_HEADERS, TRANSPORT_SECURITY
from app.web.health import MONITOR_KEY, NO_MONITOR
from app.web.rate_limits import SOCKETS, LogBudget, counts_of
from app.web.request_log import SPAN, STARTED
from config import Settings

SOCKETS_PATH = "/socket.io/"
HEALTH_PATH = "/health/"
# Names outside the public DNS: no other page can make a browser use them for this server.
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa")
# Variables by which web servers identify themselves in a request; a test client sets neither.
SERVER_NAMES = frozenset({"SERVER_SOFTWARE", "uwsgi.version"})
# An application has one of these if `python run.py` or our gunicorn worker runs it.
OWN_KEYS = frozenset({MONITOR_KEY, CONNECTIONS_KEY})
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Hosts:
    """The hosts that a request may name: those of ALLOWED_HOSTS, else those no page can misuse.

    A page of evil.example can point its own name to this machine and then read the responses (DNS
    rebinding). It cannot do so with an address, or with a name outside the public DNS.
    """

    def __init__(self, settings: Settings) -> None:
        self._listed = settings.allowed_hosts
        self._names = {settings.host.lower(), *hosts_of(settings.cors_origins)}

    def allow(self, netloc: str | None) -> bool:
        """Return whether to accept a request with this Host header; HTTP/1.0 has none."""
        if netloc is None or "*" in self._listed:
            return True
        host = host_of(netloc)
        if host is None:
            return False
        host = host.removesuffix(".")
        if is_loopback(host):
            return True
        if self._listed:
            return any(
                f".{host}".endswith(name) if name.startswith(".") else host == name
                for name in self._listed
            )
        is_private = "." not in host or host.endswith(PRIVATE_SUFFIXES)
        return is_private or is_address(host) or host in self._names


class Front:
    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._inner: WSGIApplication = app.wsgi_app
        # Requests name the same few hosts.
        self._allows_host = lru_cache(1_000)(Hosts(settings).allow)
        self._socket_limits = sorted(parse_many(settings.ratelimit_sockets))
        self._refusals_to_log = LogBudget(per_key="1 per minute", total="60 per minute")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[STARTED] = time.perf_counter()
        # One id for the header, the body and the log.
        request_id = environ.get("HTTP_X_REQUEST_ID", "")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = environ["HTTP_X_REQUEST_ID"] = uuid.uuid4().hex
        required = [*SECURITY_HEADERS.items(), ("X-Request-ID", request_id)]
        if environ.get("wsgi.url_scheme") == "https":
            required.append(TRANSPORT_SECURITY)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            present = {name.lower() for name, _ in headers}
            missing = [header for header in required if header[0].lower() not in present]
            return start_response(status, headers + missing, *rest)

        try:
            self._check(environ)
        except PaperTradingError as error:
            return self._refuse(error, environ, start)
        path = environ.get("PATH_INFO", "")
        if not path.startswith(SOCKETS_PATH):
            # No redirect: clients repeat a redirected POST as a GET.
            environ["PATH_INFO"] = path.removesuffix("/") or "/"
            return self._respond(environ, start)
        return self._inner(environ, start)

    def _respond(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Have Flask respond, with the id of the request in each log line and its span."""
        token = current_request_id.set(environ["HTTP_X_REQUEST_ID"])
        headers = {"traceparent": environ.get("HTTP_TRACEPARENT", "")}
        try:
            with request_span(self._app, environ["REQUEST_METHOD"], headers) as span:
                environ[SPAN] = span
                return self._inner(environ, start)
        finally:
            current_request_id.reset(token)

    def _check(self, environ: WSGIEnvironment) -> None:
        path = environ.get("PATH_INFO", "")
        host = environ.get("HTTP_HOST")
        # Health checks may name the address or the container.
        if not self._allows_host(host) and not path.startswith(HEALTH_PATH):
            raise InvalidRequest(
                "This server does not accept the host of this request. "
                "Its operator can add it to ALLOWED_HOSTS.",
                code="host_not_allowed",
            )
        if path.startswith(SOCKETS_PATH):
            if environ["REQUEST_METHOD"] != "OPTIONS":
                self._check_socket(environ)
            return
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None:
            # Logs a refused origin. The browser then keeps the response from the page.
            policy(self._app).allows(origin, environ)
        if not OWN_KEYS.isdisjoint(self._app.extensions) or path.startswith(HEALTH_PATH):
            return
        if not SERVER_NAMES.isdisjoint(environ):
            # Another web server has neither a monitor nor the limits of our own transport.
            raise Unavailable(NO_MONITOR, code="no_monitor")

    def _check_socket(self, environ: WSGIEnvironment) -> None:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        if "j" in query:
            raise InvalidRequest(
                "JSONP is not supported: use CORS_ORIGINS.", code="jsonp_not_served"
            )
        # A request without the id of an open socket opens a new one, or guesses.
        if query.get("sid", [""])[0] not in socketio.server.eio.sockets:
            counts_of(self._app).hit(self._socket_limits, SOCKETS, _address(environ))

    def _refuse(
        self, error: PaperTradingError, environ: WSGIEnvironment, start: StartResponse
    ) -> list[bytes]:
        request_id = environ["HTTP_X_REQUEST_ID"]
        self._app.extensions[METRICS_KEY].refused_requests.labels(error.code).inc()
        if self._refusals_to_log.allows(f"{error.code} {_address(environ)}"):
            fields = {"request_id": request_id, "address": _address(environ), "code": error.code}
            logger.warning("refused a request before routing", extra={"fields": fields})
        content = error_body(error.code, error.message, request_id, error.details)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            ("X-Request-ID", request_id),
            *self._cors_headers(environ),
        ]
        if isinstance(error, (RateLimited, Unavailable)):
            headers.append(("Retry-After", str(error.retry_after_seconds)))
        if isinstance(error, RateLimited):
            headers += [
                ("RateLimit-Limit", str(error.amount)),
                ("RateLimit-Remaining", "0"),
                ("RateLimit-Reset", str(error.retry_after_seconds)),
            ]
        status = HTTPStatus(status_of(error))
        start(f"{status.value} {status.phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]

    def _cors_headers(self, environ: WSGIEnvironment) -> list[tuple[str, str]]:
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or not policy(self._app).allows(origin, environ):
            return []
        return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]


def init_app(app: Flask, settings: Settings) -> None:
    """Put the front before the application and its sockets, and a trusted proxy's headers first."""
    front: Front | ProxyFix = Front(app, settings)
    if hops := settings.trusted_proxies:
        # Outermost, because sockets need the client's scheme and address as well.
        front = ProxyFix(front, x_for=hops, x_proto=hops)
    # As Flask's documentation does; mypy takes it for an assignment to a method.
    app.wsgi_app = front  # type: ignore[method-assign]


def _address(environ: WSGIEnvironment) -> str:
    return client_network(environ.get("REMOTE_ADDR"))
