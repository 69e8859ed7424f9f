"""Metrics of one process, as Prometheus reads them: counters and histograms.

What is a state rather than an event, such as open sockets, is read when Prometheus asks
(`app.web.metrics`).
"""

from __future__ import annotations

from typing import Any, cast

from flask import Flask, current_app
from prometheus_client import CollectorRegistry, Counter, Histogram

KEY = "metrics"
NAMESPACE = "paper_trading"
# From a read that a cache serves to a write that waits for an election, in seconds.
REQUEST_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 12)
PASS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The instruments of one application, with a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        named: dict[str, Any] = {"namespace": NAMESPACE, "registry": self.registry}
        self.requests = Counter(
            "http_requests", "Responses.", ("method", "route", "status"), **named
        )
        self.request_seconds = Histogram(
            "http_request_duration_seconds",
            "Time from the arrival of a request to its response.",
            ("method", "route"),
            buckets=REQUEST_SECONDS,
            **named,
        )
        self.refused_requests = Counter(
            "http_requests_refused", "Requests refused before routing.", ("code",), **named
        )
        self.transactions = Counter(
            "database_transactions", "Transactions, by result.", ("result",), **named
        )
        self.transaction_retries = Counter(
            "database_transaction_retries", "Further attempts of transactions.", **named
        )
        self.pass_seconds = Histogram(
            "monitor_pass_duration_seconds",
            "Time of a pass of the monitor over the polled symbols.",
            buckets=PASS_SECONDS,
            **named,
        )
        self.failed_passes = Counter(
            "monitor_passes_failed", "Passes that ended with an error.", **named
        )
        self.ticks = Counter("ticks", "Ticks that the monitor acted on.", **named)
        self.events = Counter("events", "Committed events of users, by type.", ("type",), **named)
        self.messages = Counter(
            "messages", "Attempts to deliver a message.", ("channel", "result"), **named
        )


def init_app(app: Flask) -> None:
    """Give the application its metrics."""
    app.extensions[KEY] = Metrics()


def metrics() -> Metrics:
    """Return the metrics of the current application."""
    return cast(Metrics, current_app.extensions[KEY])
