"""Traces, sent to a collector over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from flask import Flask
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app.monitor import Monitor
from app.tracing import KEY
from tests.support.users import sign_up

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Collector:
    """A collector of OTLP over HTTP that keeps the spans it gets."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = ExportTraceServiceRequest.FromString(body)
                for resource in request.resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans.extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


@pytest.fixture
def traced(make_app: Callable[..., Flask], collector: Collector) -> Iterator[Flask]:
    """An application that sends its traces to the collector."""
    app = make_app(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    yield app
    app.extensions[KEY].span_processor.shutdown()


def send_all(app: Flask) -> None:
    app.extensions[KEY].span_processor.force_flush()


def test_a_request_joins_the_trace_of_its_caller_and_contains_its_transaction(
    traced: Flask, collector: Collector
) -> None:
    trader = sign_up(traced.test_client())
    trader.open_portfolio()

    response = trader.client.post(
        "/trades/create",
        json={"symbol": "RELIANCE", "trade_type": "BUY", "quantity": 1},
        headers={**trader.headers, "traceparent": f"00-{TRACE}-{PARENT}-01"},
    )
    assert response.status_code == 201
    send_all(traced)

    (request,) = collector.named("POST /trades/create")
    assert request.trace_id.hex() == TRACE
    assert request.parent_span_id.hex() == PARENT
    attributes = {each.key: each.value for each in request.attributes}
    assert attributes["http.response.status_code"].int_value == 201
    assert attributes["request_id"].string_value == response.headers["X-Request-ID"]
    children = [span for span in collector.spans if span.parent_span_id == request.span_id]
    assert "transaction" in {span.name for span in children}


def test_a_pass_of_the_monitor_is_a_span(traced: Flask, collector: Collector) -> None:
    Monitor(traced).run_once()
    send_all(traced)

    assert len(collector.named("pass")) == 1


def test_an_address_that_does_not_exist_names_no_span_of_its_own(
    traced: Flask, collector: Collector
) -> None:
    traced.test_client().get("/no/such/address")
    send_all(traced)

    assert [span.name for span in collector.spans] == ["GET unknown"]


def test_a_collector_that_is_away_costs_no_request(traced: Flask, collector: Collector) -> None:
    collector.server.shutdown()
    collector.server.server_close()

    assert traced.test_client().get("/health/live").status_code == 200
