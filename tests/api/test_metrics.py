"""Metrics for Prometheus."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from app.market_data.recordings.recorder import Recorder
from app.models import WebhookWake
from app.monitor import Monitor
from app.transport.connections import CONNECTIONS_KEY, Bounds, ConnectionTable
from app.web.health import MONITOR_KEY, RECORDER_KEY
from app.web.metrics import serve_only_metrics
from tests.support.market import ManualClock, ScriptedFeed
from tests.support.server import ROOT
from tests.support.users import Trader

TOKEN = {"Authorization": "Bearer for-prometheus"}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(METRICS_TOKEN="for-prometheus", RATELIMIT_ENABLED="true")


@pytest.fixture
def monitor(app: Flask) -> Monitor:
    """A monitor of the application, as in a server."""
    app.extensions[MONITOR_KEY] = monitor = Monitor(app)
    return monitor


def read(client: FlaskClient) -> dict[tuple[str, ...], float]:
    """Return each sample's value by its name and the values of its labels."""
    response = client.get("/metrics", headers=TOKEN)
    assert response.status_code == 200, response.get_json()
    return {
        (sample.name.removeprefix("paper_trading_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.get_data(as_text=True))
        for sample in family.samples
    }


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
def test_metrics_need_their_token(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.get("/metrics", headers=headers).status_code == 401


def test_without_a_token_there_are_no_metrics_for_clients(make_app: Callable[..., Flask]) -> None:
    assert make_app().test_client().get("/metrics").status_code == 404


def test_the_port_of_metrics_serves_them_without_a_token_and_nothing_else(app: Flask) -> None:
    client = serve_only_metrics(app).test_client()

    assert "paper_trading_sockets 0.0" in client.get("/metrics").get_data(as_text=True)
    assert client.get("/health/live").status_code == 404


def test_no_limit_refuses_prometheus(client: FlaskClient) -> None:
    assert {client.get("/metrics", headers=TOKEN).status_code for _ in range(60)} == {200}


def test_requests_are_counted_and_timed_by_route(client: FlaskClient) -> None:
    client.get("/market/live/%5ENSEI")
    client.get("/market/live/RELIANCE")
    client.get("/no/such/address")
    client.get("/market/symbols", headers={"Host": "evil.example"})

    samples = read(client)
    route = "/market/live/<symbol>"
    assert samples["http_requests_total", "GET", route, "200"] == 2
    assert samples["http_request_duration_seconds_count", "GET", route] == 2
    # Clients could invent millions of addresses.
    assert samples["http_requests_total", "GET", "unknown", "404"] == 1
    assert samples["http_requests_refused_total", "host_not_allowed"] == 1


def test_a_trade_is_counted_with_its_transactions_and_the_pass_that_closed_it(
    client: FlaskClient, alice: Trader, monitor: Monitor, feed: ScriptedFeed, clock: ManualClock
) -> None:
    monitor.run_once()
    alice.create_trade(symbol="RELIANCE", stop_loss=1_390)
    before = read(client)
    clock.advance(10)
    feed.tick("RELIANCE.NS", 1_380)
    monitor.run_once()

    samples = read(client)
    assert samples["events_total", "trade_created"] == 1
    assert samples["events_total", "trade_auto_closed"] == 1
    settled = "database_transactions_total", "committed"
    assert samples[settled] == before[settled] + 1
    assert samples["database_transaction_retries_total",] == 0
    assert samples["monitor_pass_duration_seconds_count",] == 2
    assert samples["ticks_total",] == 1


def test_recorded_ticks_are_counted(
    app: Flask, client: FlaskClient, feed: ScriptedFeed, clock: ManualClock, tmp_path: Path
) -> None:
    app.extensions[RECORDER_KEY] = recorder = Recorder(tmp_path / "market.csv", clock)
    monitor = Monitor(app, recorder=recorder)
    feed.tick("^NSEI", 25_010)
    monitor.run_once()
    recorder.flush()

    samples = read(client)
    assert samples["recorder_up",] == 1
    assert samples["recorder_ticks_written_total",] == 1
    assert samples["recorder_ticks_lost_total",] == 0
    recorder.close()


def test_a_refused_order_is_an_aborted_transaction(client: FlaskClient, alice: Trader) -> None:
    before = read(client).get(("database_transactions_total", "aborted"), 0)
    alice.create_trade(symbol="RELIANCE", quantity=1_000_000)

    assert read(client)["database_transactions_total", "aborted"] == before + 1


def test_events_of_other_names_are_counted_as_custom(client: FlaskClient, alice: Trader) -> None:
    alice.post("/notifications", {"event": "my_own_event", "message": "hello"})

    samples = read(client)
    assert samples["events_total", "custom"] == 1
    assert ("events_total", "my_own_event") not in samples


def test_the_age_of_quotes_and_the_rejected_ticks_are_shown(
    client: FlaskClient, monitor: Monitor, feed: ScriptedFeed, clock: ManualClock
) -> None:
    feed.tick("^NSEI", 25_010)
    feed.tick("^NSEI", 90_000)
    monitor.run_once()
    clock.advance(5)

    samples = read(client)
    assert samples["quote_age_seconds", "mock"] == 5
    assert samples["ticks_rejected_total", "moved_too_far"] == 1
    assert samples["database_up",] == 1
    assert samples["outbox_due",] == 0


def test_webhooks_that_wait_for_a_worker_are_shown(
    app: Flask, client: FlaskClient, alice: Trader, clock: ManualClock
) -> None:
    alice.post("/notifications/webhooks", {"url": "https://bot.example.com/"})
    assert (read(client)["webhooks_due",], read(client)["webhooks_delay_seconds",]) == (0, 0)
    alice.create_trade()
    with app.app_context():
        WebhookWake.take(clock.now())
    clock.advance(5)

    samples = read(client)
    assert (samples["webhooks_due",], samples["webhooks_delay_seconds",]) == (1, 5)


def listed_metrics() -> set[str]:
    """Return the metrics that docs/operations.md explains, without the suffix of counters."""
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| (`[a-z].*?) \| (?:counter|gauge|histogram) \|", page, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(\w+)", row)]
    return {name.removesuffix("_total") for name in names}


def test_the_page_of_operations_explains_every_metric(
    app: Flask,
    client: FlaskClient,
    alice: Trader,
    monitor: Monitor,
    clock: ManualClock,
    tmp_path: Path,
) -> None:
    app.extensions[CONNECTIONS_KEY] = ConnectionTable(Bounds(10, None))
    app.extensions[RECORDER_KEY] = Recorder(tmp_path / "market.csv", clock)
    monitor.run_once()
    alice.create_trade(symbol="RELIANCE")
    text = client.get("/metrics", headers=TOKEN).get_data(as_text=True)
    shown = {
        family.name.removeprefix("paper_trading_")
        for family in text_string_to_metric_families(text)
        if family.name.startswith("paper_trading_") and not family.name.endswith("_created")
    }

    # Without Redis, its metric is absent.
    assert shown == listed_metrics() - {"redis_up"}


def test_every_alert_is_about_a_known_metric_and_has_a_runbook() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())
    alerts = [alert for group in rules["groups"] for alert in group["rules"]]
    page = (ROOT / "docs" / "operations.md").read_text()
    runbooks = re.findall(r"^### (\w+)$", page, re.MULTILINE)

    assert [alert["alert"] for alert in alerts] == runbooks
    for alert in alerts:
        names = re.findall(r"paper_trading_(\w+)", alert["expr"])
        assert names
        assert {re.sub("_(total|bucket)$", "", name) for name in names} <= listed_metrics()
