"""The metrics of this process at /metrics, in Prometheus' text format.

Each process shows its own. What the database holds, such as the backlog of the outbox, is the same
in all of them.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator

from flask import Blueprint, Flask, Response, current_app, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from pymongo.errors import PyMongoError

from app.domain.errors import Unauthenticated
from app.extensions import limiter, socketio
from app.metrics import NAMESPACE, metrics
from app.models import Notification, Webhook
from app.realtime.relay import KEY as RELAY_KEY
from app.services import services
from app.transport.connections import CONNECTIONS_KEY
from app.web.health import MONITOR_KEY, PULSE_KEY, RECORDER_KEY
from config import Settings

blueprint = Blueprint("metrics", __name__)


def init_app(app: Flask, settings: Settings) -> None:
    """Collect the state of the application, and serve /metrics if METRICS_TOKEN is set."""
    with app.app_context():
        registry = metrics().registry
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_State())
    if settings.metrics_token.get_secret_value():
        limiter.exempt(blueprint)
        app.register_blueprint(blueprint)


@blueprint.get("/metrics")
def show() -> Response:
    """Return the metrics for a request with METRICS_TOKEN as its bearer token."""
    token = services().settings.metrics_token.get_secret_value()
    sent = request.headers.get("Authorization", "")
    if not hmac.compare_digest(sent.encode(), f"Bearer {token}".encode()):
        raise Unauthenticated("The metrics need METRICS_TOKEN as a bearer token.")
    return exposition()


def exposition() -> Response:
    """Return the metrics of the current application."""
    return Response(generate_latest(metrics().registry), content_type=CONTENT_TYPE_LATEST)


def serve_only_metrics(app: Flask) -> Flask:
    """Return an application that serves the metrics of `app`, for METRICS_PORT."""
    server = Flask("metrics", static_folder=None)

    @server.get("/metrics")
    def show_without_token() -> Response:
        with app.app_context():
            return exposition()

    return server


class _State(Collector):
    """Reads the state of the current application whenever Prometheus asks."""

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering reads no state."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield _gauge("sockets", "Open Socket.IO connections.", len(socketio.server.eio.sockets))
        if (table := current_app.extensions.get(CONNECTIONS_KEY)) is not None:
            yield _gauge("connections", "Open TCP connections.", len(table))
            yield _gauge("connections_limit", "Maximum TCP connections.", table.bounds.total)
        if relay := current_app.extensions.get(RELAY_KEY):
            yield _gauge("redis_up", "Whether Redis responds.", not relay.is_away)
        yield from _market_data()
        yield from _monitor()
        yield from _recorder()
        yield from _database()


def _market_data() -> Iterator[Metric]:
    parts = services()
    ages = GaugeMetricFamily(
        f"{NAMESPACE}_quote_age_seconds", "Age of the newest quote, by source.", labels=["source"]
    )
    now = parts.clock.now()
    for source, quote in parts.quotes.newest().items():
        ages.add_metric([source.value], quote.age(now).total_seconds())
    yield ages
    rejected = CounterMetricFamily(
        f"{NAMESPACE}_ticks_rejected", "Ticks that the filter rejected.", labels=["reason"]
    )
    for reason, count in parts.quotes.tick_filter.rejected.items():
        rejected.add_metric([reason.value], count)
    yield rejected
    sources = GaugeMetricFamily(
        f"{NAMESPACE}_source_state",
        "1 for the current state of the circuit breaker of a source.",
        labels=["source", "state"],
    )
    for name, state in parts.feed.describe().items():
        if "status" in state:
            sources.add_metric([name, state["status"]], 1)
    yield sources


def _monitor() -> Iterator[Metric]:
    monitor = current_app.extensions.get(MONITOR_KEY)
    if monitor is None:
        return
    yield _gauge("monitor_leads", "Whether this process polls prices.", not monitor.is_standing_by)
    if monitor.last_pass_at is not None:
        age = services().clock.monotonic() - monitor.last_pass_at
        yield _gauge("monitor_last_pass_age_seconds", "Time since the last pass.", age)


def _recorder() -> Iterator[Metric]:
    if recorder := current_app.extensions.get(RECORDER_KEY):
        yield _gauge("recorder_up", "Whether ticks can be recorded.", recorder.problem is None)
        for result, count in (("written", recorder.written), ("lost", recorder.lost)):
            name = f"{NAMESPACE}_recorder_ticks_{result}"
            yield CounterMetricFamily(name, f"Ticks that were {result}.", value=count)


def _database() -> Iterator[Metric]:
    error = current_app.extensions[PULSE_KEY].check()
    yield _gauge("database_up", "Whether the database reads and writes.", not error)
    if error:
        return
    try:
        now = services().clock.now()
        due, delay = Notification.backlog(now)
        webhooks_due, webhooks_delay = Webhook.backlog(now)
    except PyMongoError:
        # It failed after the pulse. The next scrape says so.
        return
    yield _gauge("outbox_due", "Notifications to be delivered now, 10,000 at most.", due)
    yield _gauge("outbox_delay_seconds", "How late the first of them is.", delay.total_seconds())
    yield _gauge("webhooks_due", "Webhooks that wait for a worker.", webhooks_due)
    yield _gauge(
        "webhooks_delay_seconds", "How late the first of them is.", webhooks_delay.total_seconds()
    )


def _gauge(name: str, description: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{NAMESPACE}_{name}", description, value=float(value))
