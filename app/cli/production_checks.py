"""`flask --app run doctor --production URL`: try the running deployment as its clients reach it.

Each check tries what docs/security.md asks of an operator; it changes nothing.
"""

from __future__ import annotations

import os
import socket
import ssl
import stat
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import redis
import requests
from pymongo.errors import PyMongoError
from websocket import WebSocketException, create_connection

from app.cli.finding import Finding
from app.configuration.environment import ROOT
from app.database import database
from app.extensions import mongo
from app.models import ShareLease
from app.services import services
from app.web.headers import SECURITY_HEADERS

TIMEOUT_SECONDS = 10
# A renewal that has failed for two weeks needs a person.
MIN_CERTIFICATE_DAYS = 14
# A cookie of several kilobytes would be refused for another reason.
TOO_LARGE = b'{"padding": "' + b"x" * 70_000 + b'"}'
MAX_CLOCK_SECONDS = 2.0
# Any route that needs no token and writes nothing.
PUBLIC = "/market/symbols?q=nifty"
POLL = "/socket.io/?EIO=4&transport=polling"
TOO_MIGHTY = frozenset(
    {"root", "dbOwner", "dbAdminAnyDatabase", "readWriteAnyDatabase", "userAdminAnyDatabase"}
)


class Address(NamedTuple):
    """The address of a deployment: https://host[:port]."""

    url: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Address:
        """Return the address; raise ValueError if it is no https address of a host alone."""
        parts = urlsplit(url.rstrip("/"))
        if parts.scheme != "https" or not parts.hostname or parts.path or parts.query:
            raise ValueError("is not the address of a deployment, such as https://desk.example.com")
        return cls(url.rstrip("/"), parts.hostname, parts.port or 443)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method,
            f"{self.url}{path}",
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            **options,
        )

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> requests.Response:
        return self.request("GET", path, headers=dict(headers or {}))


def check_safely(check: Callable[[Address], Finding], address: Address) -> Finding:
    """Run a check; a failure to connect is a fault as well."""
    try:
        return check(address)
    except (requests.RequestException, OSError, WebSocketException) as error:
        return Finding(False, type(error).__name__, f"is {address.url} served? see its log")


def _certificate(address: Address) -> Finding:
    with _connect(address, _context()) as connection:
        certificate = connection.getpeercert() or {}
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    days = int((ends - datetime.now(UTC).timestamp()) // 86_400)
    if days < MIN_CERTIFICATE_DAYS:
        return Finding(False, f"ends in {days} days", "renew the certificate")
    return Finding(True, f"valid for {days} days")


def _tls_versions(address: Address) -> Finding:
    context = _context()
    # The client has to offer what the server must refuse.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        with _connect(address, context):
            return Finding(False, "TLS 1.1 is accepted", "use deploy/nginx.conf: ssl_protocols")
    except (ssl.SSLError, ConnectionError):
        return Finding(True, "TLS 1.1 is refused")


def _http(address: Address) -> Finding:
    if address.port != 443:
        return Finding(True, "not tried: the address names a port")
    try:
        response = requests.get(
            f"http://{address.host}/", timeout=TIMEOUT_SECONDS, allow_redirects=False
        )
    except requests.ConnectionError:
        return Finding(True, "not served")
    location = response.headers.get("Location", "")
    if response.is_redirect and location.startswith("https://"):
        return Finding(True, "redirected to https")
    return Finding(False, f"HTTP {response.status_code}", "redirect to https: deploy/nginx.conf")


def _headers(address: Address) -> Finding:
    response = address.get(PUBLIC)
    wanted = ["Strict-Transport-Security", *SECURITY_HEADERS]
    missing = [name for name in wanted if name not in response.headers]
    if missing:
        return Finding(False, f"missing: {', '.join(missing)}", "use deploy/nginx.conf")
    return Finding(True, f"{len(wanted)} present")


def _hosts(address: Address) -> Finding:
    status = address.get(PUBLIC, {"Host": "rebound.example"}).status_code
    if status < 400:
        return Finding(False, "any host is served", "set ALLOWED_HOSTS")
    return Finding(True, f"another host gets {status}")


def _origins(address: Address) -> Finding:
    response = address.get(PUBLIC, {"Origin": "https://page.example"})
    if "Access-Control-Allow-Origin" in response.headers:
        return Finding(False, "any page may call the API", "set CORS_ORIGINS")
    return Finding(True, "another page is refused")


def _bodies(address: Address) -> Finding:
    response = address.request(
        "POST", "/auth/login", data=TOO_LARGE, headers={"Content-Type": "application/json"}
    )
    if response.status_code != 413:
        found = f"a body of 70 KB gets {response.status_code}"
        return Finding(False, found, "client_max_body_size 64k: deploy/nginx.conf")
    return Finding(True, "a body of 70 KB gets 413")


def _addresses(address: Address) -> Finding:
    """Check that a client cannot choose the address by which it is counted."""
    remaining = []
    for number in (1, 2):
        headers = {"X-Forwarded-For": f"203.0.113.{number}", "Forwarded": f"for=203.0.113.{number}"}
        remaining.append(address.get(PUBLIC, headers).headers.get("RateLimit-Remaining"))
    if None in remaining:
        return Finding(False, "no rate limits", "set RATELIMIT_ENABLED=true")
    if remaining[0] == remaining[1]:
        remedy = "overwrite X-Forwarded-For in the proxy (deploy/nginx.conf), TRUSTED_PROXIES=1"
        return Finding(False, "clients choose their address", remedy)
    return Finding(True, "counted by the proxy's view of the client")


def _polling(address: Address) -> Finding:
    """Check that every request of a session by polling reaches the same process."""
    for _ in range(4):
        sid = address.get(POLL).text.partition('"sid":"')[2].partition('"')[0]
        if not sid:
            return Finding(False, "no session opens", "route /socket.io/: deploy/nginx.conf")
        session = f"{POLL}&sid={sid}"
        # Connect, read the reply, disconnect.
        statuses = {
            address.request("POST", session, data="40").status_code,
            address.get(session).status_code,
            address.request("POST", session, data="41").status_code,
        }
        if statuses != {200}:
            remedy = "sessions must stay with one process: deploy/nginx.conf"
            return Finding(False, f"requests of a session get {max(statuses)}", remedy)
    return Finding(True, "sessions stay with one process")


def _websocket(address: Address) -> Finding:
    url = address.url.replace("https://", "wss://", 1)
    options = {"ca_certs": bundle} if (bundle := os.environ.get("REQUESTS_CA_BUNDLE")) else {}
    connection = create_connection(
        f"{url}/socket.io/?EIO=4&transport=websocket",
        timeout=TIMEOUT_SECONDS,
        sslopt=options,
        suppress_origin=True,
    )
    opened = connection.recv()
    connection.close()
    if not str(opened).startswith("0{"):
        return Finding(False, "no session opens", "pass on Upgrade: deploy/nginx.conf")
    return Finding(True, "opens")


def _inside(address: Address) -> Finding:
    if address.get("/metrics").ok:
        return Finding(False, "/metrics is public", "set METRICS_TOKEN, or use METRICS_PORT")
    return Finding(True, "metrics are not public")


def _clocks(address: Address) -> Finding:
    started = datetime.now(UTC)
    # A Date header has whole seconds.
    shown = parsedate_to_datetime(address.get(PUBLIC).headers["Date"])
    local = database().command("hello")["localTime"].replace(tzinfo=UTC)
    ended = datetime.now(UTC)
    early = max(started - shown - timedelta(seconds=1), started - local)
    late = max(shown - ended, local - ended)
    worst = max(early, late).total_seconds()
    if worst > MAX_CLOCK_SECONDS:
        return Finding(False, f"{worst:.0f} s apart", "synchronise the clocks of all machines")
    return Finding(True, f"within {MAX_CLOCK_SECONDS:.0f} s")


def _workers(_address: Address) -> Finding:
    if ShareLease.any_living():
        return Finding(True, "one runs at least")
    return Finding(False, "none runs", "start one: flask --app run worker")


def _database_user(_address: Address) -> Finding:
    if mongo.is_secantus:
        return Finding(False, "the embedded database", "set MONGO_URI: docs/production.md")
    try:
        status = database().command("connectionStatus")["authInfo"]
    except PyMongoError as error:
        return Finding(False, type(error).__name__, "see docs/production.md, MongoDB")
    if not status["authenticatedUsers"]:
        return Finding(False, "no user", "enable access control, and give the server a user")
    roles = {role["role"] for role in status["authenticatedUserRoles"]}
    if mighty := sorted(roles & TOO_MIGHTY):
        return Finding(False, f"has {', '.join(mighty)}", "give it readWrite on its database only")
    return Finding(True, f"has {', '.join(sorted(roles))}")


def _redis_password(_address: Address) -> Finding:
    url = services().settings.redis_url
    if url is None:
        return Finding(True, "not used (one process only)")
    parts = urlsplit(url)
    bare = f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}"
    try:
        redis.Redis.from_url(bare, socket_timeout=TIMEOUT_SECONDS).ping()
    except redis.AuthenticationError:
        return Finding(True, "asked for")
    except redis.RedisError as error:
        return Finding(False, type(error).__name__, "start Redis, or correct REDIS_URL")
    return Finding(False, "not asked for", "set requirepass in redis.conf")


def _settings(_address: Address) -> Finding:
    settings = services().settings
    if settings.app_env != "production":
        return Finding(False, f"APP_ENV={settings.app_env}", "set APP_ENV=production")
    if settings.production_allows:
        allowed = ", ".join(settings.production_allows)
        return Finding(False, f"PRODUCTION_ALLOWS={allowed}", "make each of them safe")
    return Finding(True, "nothing unsafe is permitted")


def _files(_address: Address) -> Finding:
    settings = services().settings
    paths = [ROOT / ".env", settings.data_dir, settings.log_file]
    open_to_others = [
        path.name
        for path in paths
        if path and path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if open_to_others:
        found = f"others may read {', '.join(open_to_others)}"
        return Finding(False, found, "chmod go-rwx, and run as a user of its own")
    return Finding(True, "for their owner only")


def _context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE"))


def _connect(address: Address, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection((address.host, address.port), TIMEOUT_SECONDS)
    try:
        return context.wrap_socket(plain, server_hostname=address.host)
    except BaseException:
        plain.close()
        raise


PRODUCTION_CHECKS: dict[str, Callable[[Address], Finding]] = {
    "certificate": _certificate,
    "TLS versions": _tls_versions,
    "plain HTTP": _http,
    "headers": _headers,
    "hosts": _hosts,
    "origins": _origins,
    "bodies": _bodies,
    "client addresses": _addresses,
    "polling": _polling,
    "WebSocket": _websocket,
    "inner pages": _inside,
    "clocks": _clocks,
    "workers": _workers,
    "database user": _database_user,
    "Redis password": _redis_password,
    "settings": _settings,
    "files": _files,
}
