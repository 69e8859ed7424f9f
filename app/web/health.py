"""Health checks: whether the server is alive, and whether it can serve requests."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, current_app
from pydantic import BaseModel, Field
from pymongo.errors import PyMongoError

from app.database.pulse import Pulse
from app.domain.errors import MarketDataUnavailable
from app.extensions import limiter
from app.market_data.recordings.recorder import Recorder
from app.realtime.relay import KEY as RELAY_KEY
from app.services import services
from app.transport.connections import CONNECTIONS_KEY
from app.web.api import endpoint
from app.web.living_workers import LivingWorkers
from app.web.schemas import format_seconds
from app.web.storage import KEY as DISK_KEY
from embedded_db.disk import Disk

blueprint = Blueprint("health", __name__, url_prefix="/health")

MONITOR_KEY = "monitor"
RECORDER_KEY = "recorder"
NEARLY_FULL = 0.9
PULSE_KEY = "pulse"
WORKERS_KEY = "living_workers"
NO_MONITOR = (
    "No monitor runs in this process. Start the server with `python run.py`, or a web process "
    "beside workers with `gunicorn -c deploy/gunicorn.conf.py`."
)


class HealthResponse(BaseModel):
    """`status` is ok, degraded or unavailable: the worst of those in `checks`."""

    status: str = Field(
        description="ok, degraded or unavailable: the worst of the checks.", examples=["ok"]
    )
    checks: dict[str, Any] = Field(
        description="Each part with its own `status`, and a `reason` if it is not ok.",
        examples=[{"database": {"status": "ok"}}],
    )


def init_app(app: Flask) -> None:
    limiter.exempt(blueprint)
    app.extensions[PULSE_KEY] = Pulse()
    app.extensions[WORKERS_KEY] = LivingWorkers()
    app.register_blueprint(blueprint)


@blueprint.get("/live")
@endpoint(responses={200: HealthResponse}, public=True)
def live() -> HealthResponse:
    """Respond. Restart the server if it does not."""
    return HealthResponse(status="ok", checks={})


@blueprint.get("/ready")
@endpoint(responses={200: HealthResponse, 503: HealthResponse}, public=True)
def ready() -> tuple[HealthResponse, int]:
    """Show whether requests can be served: the database responds and prices are fresh."""
    checks = {
        "database": _check_database(),
        **_check_disk(),
        "market_data": _check_market_data(),
        "monitor": _check_monitor(),
    }
    if CONNECTIONS_KEY in current_app.extensions:
        checks["connections"] = _check_connections()
    if RELAY_KEY in current_app.extensions:
        checks["redis"] = _check_redis()
    if recorder := current_app.extensions.get(RECORDER_KEY):
        checks["recorder"] = _check_recorder(recorder)
    statuses = {check["status"] for check in checks.values()}
    status = next((level for level in ("unavailable", "degraded") if level in statuses), "ok")
    return HealthResponse(status=status, checks=checks), 503 if status == "unavailable" else 200


def _check_database() -> dict[str, Any]:
    pulse: Pulse = current_app.extensions[PULSE_KEY]
    error = pulse.check()
    if error:
        return {"status": "unavailable", "reason": type(error).__name__}
    return {"status": "ok"}


def _check_disk() -> dict[str, dict[str, Any]]:
    """Return nothing if the database is not embedded."""
    disk: Disk | None = current_app.extensions[DISK_KEY]
    if disk is None:
        return {}
    problem = disk.problem()
    if problem:
        return {"disk": {"status": "unavailable", "reason": problem.value}}
    return {"disk": {"status": "ok"}}


def _check_market_data() -> dict[str, Any]:
    parts = services()
    try:
        quote = parts.quotes.sample()
    except PyMongoError as error:
        # A web process reads shared prices from the database.
        return {
            "status": "unavailable",
            "feed": parts.feed.name,
            "reason": type(error).__name__,
            "sources": parts.feed.describe(),
        }
    except MarketDataUnavailable as error:
        return {
            "status": "unavailable",
            "feed": parts.feed.name,
            "reason": error.message,
            "sources": parts.feed.describe(),
        }
    tick_filter = parts.quotes.tick_filter
    return {
        "status": "ok",
        "feed": parts.feed.name,
        "sources": parts.feed.describe(),
        "source": quote.source.value,
        "delayed": quote.source.is_delayed,
        "age": format_seconds(quote.age(parts.clock.now())),
        "unconfirmed": sorted(tick_filter.pending),
        "held_ticks": {reason.value: count for reason, count in tick_filter.rejected.items()},
    }


def _check_connections() -> dict[str, Any]:
    """Degraded when nearly all connections are in use; unavailable while the server stops."""
    table = current_app.extensions[CONNECTIONS_KEY]
    used = {"open": len(table), "limit": table.bounds.total}
    if table.ending or table.draining:
        return {"status": "unavailable", "reason": "the server is stopping", **used}
    is_full = len(table) >= NEARLY_FULL * table.bounds.total
    return {"status": "degraded" if is_full else "ok", **used}


def _check_workers() -> dict[str, Any]:
    """Look for the monitors of other processes."""
    if CONNECTIONS_KEY not in current_app.extensions:
        return {"status": "unavailable", "reason": NO_MONITOR}
    problem = current_app.extensions[WORKERS_KEY].problem()
    found = {"status": "unavailable", "reason": problem} if problem else {"status": "ok"}
    return {**found, "role": "web"}


def _check_redis() -> dict[str, Any]:
    """Degraded while Redis is away: limits and events are then shared by fewer processes."""
    is_away = current_app.extensions[RELAY_KEY].is_away
    return (
        {"status": "degraded", "reason": "Redis does not respond"} if is_away else {"status": "ok"}
    )


def _check_recorder(recorder: Recorder) -> dict[str, Any]:
    """Degraded while nothing can be recorded: prices are still polled."""
    counts = {"ticks": recorder.written, "lost": recorder.lost}
    if recorder.problem is None:
        return {"status": "ok", **counts}
    return {"status": "degraded", "reason": recorder.problem, **counts}


def _check_monitor() -> dict[str, Any]:
    monitor = current_app.extensions.get(MONITOR_KEY)
    if monitor is None:
        return _check_workers()
    if monitor.last_pass_at is None:
        return {"status": "ok"}
    if monitor.is_standing_by:
        return {"status": "ok", "role": "standby"}
    age = services().clock.monotonic() - monitor.last_pass_at
    late = age > 3 * services().settings.monitor_interval_seconds + 5
    return {
        "status": "unavailable" if late or monitor.is_failing else "ok",
        "seconds_since_last_pass": round(age, 1),
    }
