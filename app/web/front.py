"""What every request passes before routing, and what every answer carries, sockets included.

Requests for a host that is not ours, JSONP and too many new sockets are refused here: nothing of
the application has run, and nothing was logged.
"""

from __future__ import annotations

import json
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
from app.domain.errors import InvalidRequest, PaperTradingError, RateLimited
from app.extensions import socketio
from app.logs import logger
from app.web.addresses import client_network
from app.web.cors import policy
from app.web.errors import status_of
from app.web.headers import SECURITY_HEADERS, TRANSPORT_SECURITY
from app.web.rate_limits import SOCKETS, LogBudget, counts_of
from app.web.request_log import REQUEST_ID
from config import Settings

SOCKETS_PATH = "/socket.io/"
HEALTH_PATH = "/health/"
# Names that no public name server answers for, so that no page can lead a browser here by one.
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa")


class Hosts:
    """Which hosts a request may name: those of ALLOWED_HOSTS, else those no other page can use.

    A page of evil.example can have its own name lead to this machine, and then read answers as its
    own. It cannot do so with an address, or with a name that is not public.
    """

    def __init__(self, settings: Settings) -> None:
        self._listed = settings.allowed_hosts
        self._names = {settings.host.lower(), *hosts_of(settings.cors_origins)}

    def allow(self, netloc: str | None) -> bool:
        """Return whether a request with this Host header is for us. HTTP/1.0 has none."""
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
                f".{host}".endswith(each) if each.startswith(".") else host == each
                for each in self._listed
            )
        is_private = "." not in host or host.endswith(PRIVATE_SUFFIXES)
        return is_private or is_address(host) or host in self._names


class Front:
    """The WSGI application in front of the Flask application and its sockets."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._inner: WSGIApplication = app.wsgi_app
        # Clients name the same few hosts in every request.
        self._allows_host = lru_cache(1_000)(Hosts(settings).allow)
        self._socket_limits = sorted(parse_many(settings.ratelimit_sockets))
        self._refusals_to_log = LogBudget(per_key="1 per minute", total="60 per minute")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # The same id in the header, the body and the log, whoever writes them.
        environ["HTTP_X_REQUEST_ID"] = _request_id(environ)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, headers + _missing(headers, environ), *rest)

        try:
            self._check(environ)
        except PaperTradingError as error:
            return self._refuse(error, environ, start)
        path = environ.get("PATH_INFO", "")
        if not path.startswith(SOCKETS_PATH):
            # No redirect: clients repeat a redirected POST as a GET.
            environ["PATH_INFO"] = path.removesuffix("/") or "/"
        return self._inner(environ, start)

    def _check(self, environ: WSGIEnvironment) -> None:
        path = environ.get("PATH_INFO", "")
        host = environ.get("HTTP_HOST")
        # Probes name the address or the container, whatever it is called.
        if not self._allows_host(host) and not path.startswith(HEALTH_PATH):
            raise InvalidRequest(
                "This server does not answer to the host of this request. "
                "Its operator can name it in ALLOWED_HOSTS.",
                code="host_not_allowed",
            )
        if path.startswith(SOCKETS_PATH) and environ["REQUEST_METHOD"] != "OPTIONS":
            self._check_socket(environ)

    def _check_socket(self, environ: WSGIEnvironment) -> None:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        if "j" in query:
            raise InvalidRequest("JSONP is not served: use CORS_ORIGINS.", code="jsonp_not_served")
        # What names no socket there is wants a new one, or guesses.
        if query.get("sid", [""])[0] not in socketio.server.eio.sockets:
            counts_of(self._app).hit(self._socket_limits, SOCKETS, _address(environ))

    def _refuse(
        self, error: PaperTradingError, environ: WSGIEnvironment, start: StartResponse
    ) -> list[bytes]:
        request_id = environ["HTTP_X_REQUEST_ID"]
        if self._refusals_to_log.allows(f"{error.code} {_address(environ)}"):
            fields = {"request_id": request_id, "address": _address(environ), "code": error.code}
            logger.warning("refused a request before routing", extra={"fields": fields})
        body = {
            "error": error.message,
            "code": error.code,
            "details": error.details,
            "request_id": request_id,
        }
        content = json.dumps(body).encode()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            ("X-Request-ID", request_id),
            *self._cors_headers(environ),
        ]
        if isinstance(error, RateLimited):
            seconds = str(error.retry_after_seconds)
            headers += [
                ("Retry-After", seconds),
                ("RateLimit-Limit", str(error.amount)),
                ("RateLimit-Remaining", "0"),
                ("RateLimit-Reset", seconds),
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


def _missing(headers: list[tuple[str, str]], environ: WSGIEnvironment) -> list[tuple[str, str]]:
    """Return the headers that every answer has, without those that this one has already."""
    given = {name.lower() for name, _ in headers}
    missing = [each for each in SECURITY_HEADERS.items() if each[0].lower() not in given]
    if environ.get("wsgi.url_scheme") == "https":
        missing.append(TRANSPORT_SECURITY)
    if "x-request-id" not in given:
        missing.append(("X-Request-ID", environ["HTTP_X_REQUEST_ID"]))
    return missing


def _request_id(environ: WSGIEnvironment) -> str:
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _address(environ: WSGIEnvironment) -> str:
    return client_network(environ.get("REMOTE_ADDR"))
