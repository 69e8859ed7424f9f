"""Rate limits: how often a user, an API key or an address may call.

All reads of a signed-in user count together, and so do all reads and all writes of an API key.
Everything else counts per route: by user if the
route needs a token, else by address. Requests without a route count together, by address.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from math import ceil
from typing import TYPE_CHECKING, cast

from flask import Flask, Response, current_app, g, request
from flask_limiter import Limit, RateLimitExceeded
from limits import RateLimitItem, parse, parse_many
from limits.storage import MemoryStorage, Storage
from limits.strategies import FixedWindowRateLimiter
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound

from app.domain.errors import RateLimited
from app.extensions import limiter
from app.web.errors import error_response, http_error
from app.web.limit_keys import address_key, rate_limit_key
from app.web.principal import Principal, PrincipalKind
from config import Settings

if TYPE_CHECKING:
    from flask_limiter._limits import RuntimeLimit

KEY = "rate_limits"
HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
# Limits that several routes share, and their names in the sentence of a 429.
# Blueprints that machines read every few seconds.
PROBES = ("health", "metrics")
READS, PUBLIC_READS, UNKNOWN_ADDRESSES = "reads", "public_reads", "unknown_addresses"
SOCKETS = "sockets"
KEY_READS, KEY_WRITES = "api_key_reads", "api_key_writes"
LIMIT_NAMES = {
    READS: "all reads of a user together",
    KEY_READS: "all reads of an API key together",
    KEY_WRITES: "all writes of an API key together",
    PUBLIC_READS: "all public reads from one address together",
    UNKNOWN_ADDRESSES: "addresses that do not exist",
    SOCKETS: "new sockets from one address",
}


class LogBudget:
    """Limits the lines of a log: those about one key, and all of them together."""

    def __init__(self, *, per_key: str, total: str) -> None:
        self._per_key = parse(per_key)
        self._total = parse(total)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def allows(self, key: str) -> bool:
        """Return whether one more line about `key` may be written, and count it."""
        limiter, key = self._limiter, key[:200]
        if not (limiter.test(self._per_key, key) and limiter.test(self._total)):
            return False
        return limiter.hit(self._per_key, key) and limiter.hit(self._total)


class Counts:
    """The counts of Flask-Limiter, for limits that it cannot apply itself.

    While Redis is away, they are kept in this process.
    """

    def __init__(self, settings: Settings) -> None:
        # The shortest first, as in Flask-Limiter: a request that it refuses counts for no other.
        self.route_limits = sorted(parse_many(settings.ratelimit_default))
        self._local = MemoryStorage()
        # Refusals, and requests without a limit, would otherwise fill the log.
        self._refusals_to_log = LogBudget(per_key="1 per minute", total="120 per minute")
        self._probes_to_log = LogBudget(per_key="60 per minute", total="600 per minute")

    def hit(self, items: Iterable[RateLimitItem], limit: str, *identifiers: str) -> None:
        """Count a request against each item; raise RateLimited at the first that is used up."""
        if not limiter.enabled:
            return
        for item in items:
            key = item.key_for(*identifiers, limit)
            if self.add(key, item.get_expiry()) > item.amount:
                raise rate_limited(limit, item, self.seconds_left(key))

    def add(self, key: str, seconds: int) -> int:
        """Add one to a count that ends `seconds` after it began; return the count."""
        try:
            return self._shared.incr(key, seconds)
        except self._outages:
            return self._local.incr(key, seconds)

    def seconds_left(self, key: str) -> int:
        """Return the seconds until a count ends, 0 if there is none."""
        try:
            storage = self._shared
            ends_at = storage.get_expiry(key) if storage.get(key) else 0.0
        except self._outages:
            ends_at = self._local.get_expiry(key) if self._local.get(key) else 0.0
        return max(ceil(ends_at - time.time()), 0)

    def clear(self, key: str) -> None:
        """Delete a count."""
        try:
            self._shared.clear(key)
        except self._outages:
            self._local.clear(key)

    def may_log(self, response: Response) -> bool:
        """Return whether the log has room for a refusal, a preflight or a health check."""
        if not limiter.enabled:
            return True
        if response.status_code == 429:
            return self._refusals_to_log.allows(rate_limit_key())
        return self._probes_to_log.allows(address_key())

    @property
    def _shared(self) -> Storage:
        return limiter.limiter.storage

    @property
    def _outages(self) -> type[Exception] | tuple[type[Exception], ...]:
        return limiter.storage.base_exceptions


def init_app(app: Flask, settings: Settings) -> None:
    """Bind the limiter. With Redis, all processes share the counts."""
    app.config.update(
        RATELIMIT_ENABLED=settings.ratelimit_enabled,
        RATELIMIT_HEADERS_ENABLED=True,
        RATELIMIT_HEADER_RETRY_AFTER_VALUE="delta-seconds",
        RATELIMIT_STORAGE_URI=settings.redis_url or "memory://",
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=settings.redis_url is not None,
        # Of requests that find Redis gone at the same time, Flask-Limiter has only the first fall
        # back; the others would fail. They pass instead.
        RATELIMIT_SWALLOW_ERRORS=settings.redis_url is not None,
    )
    app.extensions[KEY] = Counts(settings)
    # Registered first, so that it runs after the limiter has set its headers.
    app.after_request(_tidy_headers)
    for error in (BadRequest, NotFound, MethodNotAllowed):
        app.register_error_handler(error, _limit_unknown_addresses)
    app.register_error_handler(RateLimitExceeded, _refuse)
    # Otherwise those of an earlier application in this process would stay.
    limiter.limit_manager.set_default_limits([])
    limiter.init_app(app)
    # Declared to take unparsed limits, but it takes any iterable of parsed ones.
    of_request = _LimitsOfRequest(settings)
    limiter.limit_manager.set_default_limits([of_request])  # type: ignore[list-item]


def counts() -> Counts:
    """Return the counts of the current application."""
    return counts_of(current_app)


def counts_of(app: Flask) -> Counts:
    """Return the counts of an application."""
    return cast(Counts, app.extensions[KEY])


def rate_limited(limit: str, item: RateLimitItem, seconds: int) -> RateLimited:
    """Return the error that names a limit, how much it allows, and when to retry."""
    seconds = max(seconds, 1)
    name = LIMIT_NAMES.get(limit, "this route")
    return RateLimited(
        f"Too many requests: the limit of {name} is {item}. Try again in {seconds} seconds.",
        retry_after_seconds=seconds,
        amount=item.amount,
        details={"limit": limit, "allowed": str(item)},
    )


class _LimitsOfRequest:
    """The limits of the current request, parsed once.

    Flask-Limiter would parse the texts, and evaluate each exempt limit, for every request.
    """

    def __init__(self, settings: Settings) -> None:
        def parse_limit(limit: Limit) -> list[RuntimeLimit]:
            return list(limit.bind(limiter))

        self._of_routes = parse_limit(
            Limit(settings.ratelimit_default, key_function=rate_limit_key)
        )
        self._reads = parse_limit(
            Limit(
                settings.ratelimit_reads,
                key_function=lambda: f"user:{g.principal.user_id}",
                scope=READS,
                shared=True,
            )
        )
        self._key_reads = parse_limit(
            Limit(settings.ratelimit_reads, key_function=_api_key, scope=KEY_READS, shared=True)
        )
        self._key_writes = parse_limit(
            Limit(settings.ratelimit_api_keys, key_function=_api_key, scope=KEY_WRITES, shared=True)
        )
        # By address as well: otherwise each account of one client would add to its limit.
        self._reads_of_address = parse_limit(
            Limit(
                settings.ratelimit_reads, key_function=address_key, scope=PUBLIC_READS, shared=True
            )
        )

    def __iter__(self) -> Iterator[RuntimeLimit]:
        if request.method == "OPTIONS":
            # The preflight of a browser is not a request of the user.
            return iter(())
        principal: Principal | None = g.principal
        if principal is None:
            return iter(self._of_routes)
        is_of_key = principal.kind is PrincipalKind.API_KEY
        if g.is_read:
            reads = self._key_reads if is_of_key else self._reads
            return iter(reads + self._reads_of_address if g.is_public else reads)
        return iter(self._key_writes if is_of_key and not g.is_public else self._of_routes)


def _api_key() -> str:
    return f"key:{g.principal.token_id}"


def count_unknown_address() -> None:
    """Count a request for an address that does not exist; raise RateLimited if they are many."""
    counts().hit(counts().route_limits, UNKNOWN_ADDRESSES, address_key())


def _limit_unknown_addresses(error: HTTPException) -> Response:
    if request.routing_exception is None:
        return http_error(error)
    try:
        count_unknown_address()
    except RateLimited as limited:
        return error_response(limited)
    return http_error(error)


def _refuse(error: RateLimitExceeded) -> Response:
    limit, current = error.limit, limiter.current_limit
    assert limit is not None
    assert current is not None
    scope = str(limit.scope) if limit.shared else "route"
    seconds = counts().seconds_left(current.key)
    return error_response(rate_limited(scope, limit.limit, seconds))


def _tidy_headers(response: Response) -> Response:
    """Add the header names of the IETF draft, and keep Retry-After only if it applies."""
    is_probe = request.method == "OPTIONS" or request.blueprint in PROBES
    if response.status_code == 429 or is_probe:
        g.may_log = counts().may_log(response)
    refusal = g.get("rate_limited")
    if refusal is not None:
        seconds = refusal.retry_after_seconds
        response.headers.setdefault("X-RateLimit-Limit", str(refusal.amount))
        response.headers.setdefault("X-RateLimit-Remaining", "0")
        response.headers.setdefault("X-RateLimit-Reset", str(int(time.time()) + seconds))
    left = {name: value for name, value in response.headers if name.startswith("X-RateLimit-")}
    for name, value in left.items():
        # Seconds until the reset in the draft, its Unix time in the X- header.
        is_time = name == "X-RateLimit-Reset"
        seconds_or_count = max(int(value) - int(time.time()), 0) if is_time else value
        response.headers.add(name.removeprefix("X-"), seconds_or_count)
    # The limiter gives its own to every response, or the reset of a limit that is not used up.
    response.headers.pop("Retry-After", None)
    if retry_after := g.get("retry_after"):
        response.headers["Retry-After"] = retry_after
    return response
