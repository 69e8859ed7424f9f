"""Settings that production refuses, each with a name by which PRODUCTION_ALLOWS permits it.

The checks read the raw variables, so that one message can name unsafe and invalid ones.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from urllib.parse import SplitResult, parse_qs, urlsplit

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from app.configuration.origins import hosts_of, is_loopback, parse_origins

MINIMUM_SECRET_LENGTH = 32
MINIMUM_SECRET_BITS = 88
# A random secret contains none of these.
DEFAULT_SECRETS = ("changeme", "secretkey", "yoursecret", "password", "placeholder", "qwerty")
FALSE = frozenset({"false", "f", "no", "n", "off", "0"})
TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
UPSTREAMS = ("angel_root_url", "angel_stream_url", "angel_scrip_master_url", "yahoo_root_url",
             "twilio_root_url")  # fmt: skip
# What each name in PRODUCTION_ALLOWS permits.
OVERRIDES = {
    "weak_secrets": "secrets that can be guessed, or that are the same",
    "plain_database": "a database on another machine without a password or without TLS",
    "plain_redis": "Redis on another machine without a password or without TLS",
    "plain_upstreams": "sources and senders on other machines without TLS",
    "no_rate_limits": "RATELIMIT_ENABLED=false",
    "any_origin": "CORS_ORIGINS=*",
    "http_origins": "pages of other machines without TLS in CORS_ORIGINS",
    "any_host": "ALLOWED_HOSTS=*",
    "debug_log": "LOG_LEVEL=DEBUG",
    "no_proxy": "a HOST that other machines reach, with TRUSTED_PROXIES=0",
}
NEW_SECRET = "`python -c 'import secrets; print(secrets.token_hex(32))'`"  # noqa: S105 - a command

Values = Mapping[str, str]
# The name of the override, if there is one, and the offence.
Offences = Iterator[tuple[str | None, str]]


def parse_overrides(text: str) -> tuple[str, ...]:
    """Return the names of a comma separated list; raise ValueError if one is unknown."""
    names = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in OVERRIDES]
    if unknown:
        raise ValueError(f"does not know {', '.join(unknown)}, but {', '.join(OVERRIDES)}")
    return names


def find_unsafe(values: Values) -> list[str]:
    """Return each unsafe setting that PRODUCTION_ALLOWS does not permit."""
    allowed = {part.strip().lower() for part in values.get("production_allows", "").split(",")}
    return [
        f"{offence}; PRODUCTION_ALLOWS={override} permits it" if override else offence
        for check in CHECKS
        for override, offence in check(values)
        if override not in allowed
    ]


def is_weak(secret: str) -> bool:
    """Return whether a secret can be guessed: short, well known, repetitive or a sequence."""
    plain = secret.lower().replace("-", "").replace("_", "").replace(" ", "")
    if len(secret) < MINIMUM_SECRET_LENGTH or any(default in plain for default in DEFAULT_SECRETS):
        return True
    unit = secret[: _period(secret)]
    counts = Counter(unit).values()
    bits = -sum(count * math.log2(count / len(unit)) for count in counts)
    steps = [abs(ord(one) - ord(other)) for one, other in pairwise(unit)]
    # In a random secret, one in eight pairs of neighbours is this close.
    return bits < MINIMUM_SECRET_BITS or sum(step <= 1 for step in steps) > len(steps) / 2


def _period(text: str) -> int:
    # The shortest period of the text; its length if it does not repeat itself.
    return next(n for n in range(1, len(text) + 1) if text[n:] == text[: len(text) - n])


def _secrets(values: Values) -> Offences:
    names = ("secret_key", "jwt_secret_key")
    for name in names:
        secret = values.get(name, "")
        if not secret or is_weak(secret):
            yield (
                "weak_secrets" if secret else None,
                f"{name.upper()}: production needs a secret of your own of at least "
                f"{MINIMUM_SECRET_LENGTH} characters, made at random, such as {NEW_SECRET} prints",
            )
    one, other = (values.get(name, "") for name in names)
    if one and one == other:
        yield "weak_secrets", "JWT_SECRET_KEY: production needs one that is not SECRET_KEY"


def _database(values: Values) -> Offences:
    uri = values.get("mongo_uri", "")
    if not uri:
        yield None, "MONGO_URI: production needs a MongoDB replica set or Atlas URI"
        return
    missing = _missing_of_database(uri)
    if missing:
        yield (
            "plain_database",
            f"MONGO_URI: production needs {' and '.join(missing)} for a database on another "
            "machine",
        )


def _missing_of_database(uri: str) -> list[str]:
    parts = _split(uri)
    options = {
        name.lower(): values[-1].lower()
        for name, values in parse_qs(parts.query if parts else "").items()
    }
    if uri.lower().startswith("mongodb+srv://"):
        # The hosts are in DNS, and TLS is on by default.
        has_tls = options.get("tls", options.get("ssl", "true")) not in FALSE
    else:
        try:
            nodes = parse_uri(uri, validate=False, warn=False)["nodelist"]
        except (PyMongoError, ValueError):
            return []
        if all(is_loopback(host) or host.startswith("/") for host, _ in nodes):
            return []
        has_tls = options.get("tls", options.get("ssl", "false")) in TRUE
    if any(
        options.get(option) in TRUE
        for option in ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")
    ):
        has_tls = False
    has_user = "@" in (parts.netloc if parts else "") or "authmechanism" in options
    return [
        *([] if has_user else ["a user and a password"]),
        *([] if has_tls else ["TLS with checked certificates (tls=true)"]),
    ]


def _redis(values: Values) -> Offences:
    parts = _split(values.get("redis_url", ""))
    if parts is None or not parts.hostname or is_loopback(parts.hostname):
        return
    options = parse_qs(parts.query)
    has_password = bool(parts.password) or "password" in options
    is_checked = options.get("ssl_cert_reqs", ["required"])[-1].lower() == "required"
    missing = [
        *([] if has_password else ["a password"]),
        *(
            []
            if parts.scheme == "rediss" and is_checked
            else ["TLS with checked certificates (rediss://)"]
        ),
    ]
    if missing:
        yield (
            "plain_redis",
            f"REDIS_URL: production needs {' and '.join(missing)} for Redis on another machine",
        )


def _upstreams(values: Values) -> Offences:
    for name in UPSTREAMS:
        parts = _split(values.get(name, ""))
        if parts and parts.scheme in ("http", "ws") and not is_loopback(parts.hostname or ""):
            yield "plain_upstreams", f"{name.upper()}: production needs TLS, https:// or wss://"


def _web(values: Values) -> Offences:
    listed = [part.strip() for part in values.get("cors_origins", "").split(",") if part.strip()]
    if "*" in listed:
        yield "any_origin", "CORS_ORIGINS: production must name each origin, never *"
    elif plain := [origin for origin in listed if _is_plain_origin(origin)]:
        yield "http_origins", f"CORS_ORIGINS: production needs https://, not {', '.join(plain)}"
    if "*" in [part.strip() for part in values.get("allowed_hosts", "").split(",")]:
        yield "any_host", "ALLOWED_HOSTS: production must name each host, never *"


def _is_plain_origin(origin: str) -> bool:
    try:
        (parsed,) = parse_origins(origin)
    except ValueError:
        return False
    return parsed.startswith("http://") and not all(map(is_loopback, hosts_of([parsed])))


def _server(values: Values) -> Offences:
    if values.get("ratelimit_enabled", "").lower() in FALSE:
        yield "no_rate_limits", "RATELIMIT_ENABLED: production limits how often clients may call"
    if values.get("log_level", "").upper() == "DEBUG":
        yield "debug_log", "LOG_LEVEL: production logs no more than INFO"
    host = values.get("host", "127.0.0.1")
    if not is_loopback(host) and values.get("trusted_proxies", "0") == "0":
        yield (
            "no_proxy",
            f"HOST: production on {host} needs a proxy with TLS in front, and TRUSTED_PROXIES=1",
        )


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        # Reading an invalid host in brackets raises ValueError.
        _ = parts.hostname, parts.password
    except ValueError:
        return None
    return parts


CHECKS: tuple[Callable[[Values], Offences], ...] = (
    _secrets,
    _database,
    _redis,
    _upstreams,
    _web,
    _server,
)
