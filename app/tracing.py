"""Traces by OpenTelemetry, if OTEL_EXPORTER_OTLP_ENDPOINT names a collector.

Spans are requests, transactions and passes of the monitor. The packages are optional:
requirements-tracing.txt.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from flask import Flask, current_app

from config import ConfigurationError, Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

KEY = "tracer"
# An orderly stop waits this long for a collector that is away.
EXPORT_SECONDS = 2
NOT_INSTALLED = (
    "OTEL_EXPORTER_OTLP_ENDPOINT: needs `python -m pip install --require-hashes -r "
    "requirements-tracing.txt`"
)


def init_app(app: Flask, settings: Settings) -> None:
    """Begin to send traces, if they are configured; raise ConfigurationError."""
    if settings.otel_exporter_otlp_endpoint:
        app.extensions[KEY] = _create_tracer(settings.otel_exporter_otlp_endpoint)


def span(name: str) -> AbstractContextManager[Span | None]:
    """Give a span around what happens inside; None without a collector."""
    tracer: Tracer | None = current_app.extensions.get(KEY)
    return tracer.start_as_current_span(name) if tracer else nullcontext()


def request_span(
    app: Flask, method: str, headers: Mapping[str, str]
) -> AbstractContextManager[Span | None]:
    """Give the span of a request, in the trace that its `traceparent` header names."""
    tracer: Tracer | None = app.extensions.get(KEY)
    if tracer is None:
        return nullcontext()
    from opentelemetry import propagate
    from opentelemetry.trace import SpanKind

    return tracer.start_as_current_span(method, propagate.extract(headers), kind=SpanKind.SERVER)


def _create_tracer(endpoint: str) -> Tracer:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigurationError([NOT_INSTALLED]) from None
    name = os.environ.get("OTEL_SERVICE_NAME", "paper-trading")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider.get_tracer("paper_trading")
