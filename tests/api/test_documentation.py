"""The OpenAPI document and the page that shows it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain.trade import TradeStatus
from app.server import serve
from app.transport.listener import listen
from app.web.error_codes import ERROR_CODES
from app.web.errors import HTTP_CODES
from tests.support.server import ROOT

COMMON = {400, 429, 500, 503}
# Every route: its statuses without the common ones, and whether it is public.
CONTRACT = {
    ("post", "/auth/register"): ({201, 409, 413, 415}, True),
    ("post", "/auth/login"): ({200, 401, 413, 415}, True),
    ("get", "/auth/me"): ({200, 401}, False),
    ("patch", "/auth/me"): ({200, 401, 403, 409, 413, 415}, False),
    ("delete", "/auth/me"): ({200, 401, 403, 413, 415}, False),
    ("get", "/auth/me/export"): ({200, 401}, False),
    ("post", "/auth/me/email"): ({200, 401, 409, 413, 415}, False),
    ("post", "/auth/password"): ({200, 401, 403, 413, 415}, False),
    ("post", "/auth/password/forgot"): ({200, 409, 413, 415}, True),
    ("post", "/auth/password/reset"): ({200, 409, 413, 415}, True),
    ("post", "/auth/totp"): ({200, 401, 403, 409, 413, 415}, False),
    ("post", "/auth/totp/confirm"): ({200, 401, 409, 413, 415}, False),
    ("post", "/auth/totp/disable"): ({200, 401, 403, 409, 413, 415}, False),
    ("post", "/auth/totp/recovery-codes"): ({200, 401, 403, 409, 413, 415}, False),
    ("post", "/auth/refresh"): ({200, 401, 413, 415}, True),
    ("post", "/auth/logout"): ({200, 401, 413, 415}, False),
    ("post", "/auth/logout-all"): ({200, 401, 413, 415}, False),
    ("get", "/auth/sessions"): ({200, 401}, False),
    ("delete", "/auth/sessions/{session_id}"): ({200, 401, 404}, False),
    ("post", "/auth/verify/email"): ({200, 401, 409, 413, 415}, False),
    ("post", "/auth/verify/phone"): ({200, 401, 409, 413, 415}, False),
    ("post", "/auth/api-keys"): ({201, 401, 403, 409, 413, 415}, False),
    ("get", "/auth/api-keys"): ({200, 401, 403}, False),
    ("delete", "/auth/api-keys/{key_id}"): ({200, 401, 403, 404}, False),
    ("post", "/portfolio/create"): ({200, 201, 401, 413, 415}, False),
    ("get", "/portfolio/{user_id}"): ({200, 401, 403, 404}, False),
    ("patch", "/portfolio/{user_id}"): ({200, 400, 401, 403, 404}, False),
    ("get", "/portfolio/{user_id}/list"): ({200, 401, 403}, False),
    ("post", "/portfolio/{user_id}/deposit"): ({200, 400, 401, 403, 404, 409}, False),
    ("post", "/portfolio/{user_id}/withdraw"): ({200, 400, 401, 403, 404, 409}, False),
    ("post", "/portfolio/{user_id}/reset"): ({200, 400, 401, 403, 404, 409, 503}, False),
    ("get", "/portfolio/{user_id}/activities"): ({200, 401, 403, 404}, False),
    ("get", "/portfolio/{user_id}/positions"): ({200, 401, 403, 404}, False),
    ("get", "/portfolio/{user_id}/history"): ({200, 401, 403, 404}, False),
    ("get", "/market/live/{symbol}"): ({200, 404}, True),
    ("get", "/market/quotes"): ({200}, True),
    ("get", "/market/movers"): ({200}, True),
    ("get", "/market/status"): ({200}, True),
    ("get", "/market/corporate-actions"): ({200, 404}, True),
    ("get", "/market/history/{symbol}"): ({200, 404}, True),
    ("get", "/market/symbols"): ({200}, True),
    ("post", "/market/scenario"): ({201, 401, 403, 409, 413, 415}, False),
    ("post", "/market/alerts"): ({201, 401, 409, 413, 415}, False),
    ("get", "/market/alerts"): ({200, 401}, False),
    ("patch", "/market/alerts/{alert_id}"): ({200, 400, 401, 404, 409, 503}, False),
    ("delete", "/market/alerts/{alert_id}"): ({200, 401, 404}, False),
    ("post", "/trades/create"): ({201, 401, 404, 413, 415}, False),
    ("post", "/trades/oco"): ({201, 401, 404, 409, 413, 415}, False),
    ("post", "/trades/preview"): ({200, 401, 404, 413, 415}, False),
    ("patch", "/trades/{user_id}/{trade_id}"): ({200, 401, 403, 404, 409, 413, 415}, False),
    ("post", "/trades/cancel/{trade_id}"): ({200, 401, 404, 409, 413, 415}, False),
    ("post", "/trades/exit/{trade_id}"): ({200, 401, 404, 409, 413, 415}, False),
    ("post", "/trades/exit-all/{user_id}"): ({200, 401, 403, 413, 415}, False),
    ("get", "/trades/{user_id}"): ({200, 401, 403}, False),
    ("get", "/trades/{user_id}/{trade_id}"): ({200, 401, 403, 404}, False),
    ("get", "/trades/performance/{user_id}"): ({200, 401, 403, 404}, False),
    ("get", "/trades/statistics/{user_id}"): ({200, 401, 403, 404}, False),
    ("get", "/trades/{user_id}/export.csv"): ({200, 401, 403}, False),
    ("post", "/notifications"): ({200, 401, 413, 415}, False),
    ("put", "/notifications/read"): ({200, 401, 413, 415}, False),
    ("post", "/watchlists"): ({201, 400, 401, 409, 413, 415}, False),
    ("get", "/watchlists"): ({200, 401}, False),
    ("get", "/watchlists/{watchlist_id}"): ({200, 401, 404}, False),
    ("patch", "/watchlists/{watchlist_id}"): ({200, 400, 401, 404, 409, 413, 415}, False),
    ("delete", "/watchlists/{watchlist_id}"): ({200, 401, 404}, False),
    ("post", "/watchlists/{watchlist_id}/symbols"): ({200, 400, 401, 404, 409}, False),
    ("delete", "/watchlists/{watchlist_id}/symbols/{symbol}"): ({200, 401, 404}, False),
    ("get", "/notifications"): ({200, 401}, False),
    ("put", "/notifications/{notification_id}/read"): ({200, 401, 404}, False),
    ("get", "/notifications/preferences"): ({200, 401}, False),
    ("get", "/notifications/unsubscribe/{token}"): ({200, 404}, True),
    ("post", "/notifications/unsubscribe/{token}"): ({200, 404}, True),
    ("post", "/notifications/webhooks"): ({201, 401, 403, 409, 413, 415}, False),
    ("get", "/notifications/webhooks"): ({200, 401, 403}, False),
    ("get", "/notifications/webhooks/{webhook_id}"): ({200, 401, 403, 404}, False),
    ("patch", "/notifications/webhooks/{webhook_id}"): ({200, 401, 403, 404, 413, 415}, False),
    ("delete", "/notifications/webhooks/{webhook_id}"): ({200, 401, 403, 404}, False),
    ("post", "/notifications/webhooks/{webhook_id}/secret"): ({200, 401, 403, 404}, False),
    ("post", "/notifications/webhooks/{webhook_id}/test"): ({200, 401, 403, 404}, False),
    ("get", "/notifications/webhooks/{webhook_id}/deliveries"): ({200, 401, 403, 404}, False),
    ("post", "/notifications/webhooks/{webhook_id}/deliveries/{delivery_id}/replay"): (
        {200, 401, 403, 404, 409},
        False,
    ),
    ("put", "/notifications/preferences"): ({200, 401, 413, 415}, False),
    ("get", "/health/live"): ({200}, True),
    ("get", "/health/ready"): ({200, 503}, True),
}
# The documentation itself, and what Flask serves by itself.
PAGES = {"/docs", "/static/{filename}", "/", "/desk/{name}", "/desk/v/{wanted}/{name}"}
UNDOCUMENTED = {"/openapi.json", "/asyncapi.json", *PAGES}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    body: dict[str, Any] = answer.get_json()
    return body


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_it_is_openapi_3_1_of_this_api(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Paper Trading API"
    assert document["info"]["version"]


def test_it_lists_every_route_of_the_contract_with_its_statuses(document: dict[str, Any]) -> None:
    listed = operations(document)

    assert set(listed) == set(CONTRACT)
    for route, (statuses, public) in CONTRACT.items():
        documented = {int(status) for status in listed[route]["responses"]}
        assert statuses | COMMON <= documented, route
        assert bool(listed[route].get("security")) is not public, route


def test_no_route_goes_undocumented(app: Flask, document: dict[str, Any]) -> None:
    served = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(rule)) for rule in app.url_map.iter_rules()}

    assert served - UNDOCUMENTED == set(document["paths"])


def test_every_error_has_the_body_of_the_contract(document: dict[str, Any]) -> None:
    for route, operation in operations(document).items():
        for status, response in operation["responses"].items():
            (content,) = response["content"].values()
            schema = content["schema"]["$ref"]
            is_error = int(status) >= 400 and route != ("get", "/health/ready")
            assert schema.endswith("/ErrorBody") or not is_error, (route, status)
    error = document["components"]["schemas"]["ErrorBody"]
    assert set(error["required"]) == {"error", "code", "details", "request_id"}


def test_errors_are_json_and_only_an_export_is_anything_else(document: dict[str, Any]) -> None:
    others = {
        (path, status, media_type)
        for (_, path), operation in operations(document).items()
        for status, response in operation["responses"].items()
        for media_type in response["content"]
        if media_type != "application/json"
    }
    assert others == {("/trades/{user_id}/export.csv", "200", "text/csv")}


def test_every_reference_leads_somewhere(document: dict[str, Any], client: FlaskClient) -> None:
    text = client.get("/openapi.json").text
    references = set(re.findall(r'"\$ref":\s*"#/components/schemas/([^"]+)"', text))

    assert references
    assert references <= set(document["components"]["schemas"])


def test_every_route_has_a_summary_and_a_unique_operation_id(
    document: dict[str, Any],
) -> None:
    listed = operations(document).values()

    assert all(operation["summary"] for operation in listed)
    ids = [operation["operationId"] for operation in listed]
    assert len(ids) == len(set(ids)) == len(CONTRACT)


def test_bodies_are_described_with_their_bounds(document: dict[str, Any]) -> None:
    order = document["components"]["schemas"]["CreateTradeRequest"]

    assert set(order["required"]) == {"symbol", "trade_type", "quantity"}
    assert order["additionalProperties"] is False
    quantity = order["properties"]["quantity"]
    assert (quantity["type"], quantity["minimum"], quantity["maximum"]) == (
        "integer",
        1,
        10_000_000,
    )


def properties(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (name, field): described
        for name, schema in document["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
    }


def test_every_property_is_described_with_an_example(document: dict[str, Any]) -> None:
    for name, described in properties(document).items():
        # An object or a list of objects takes its example from its properties.
        is_nested = "$ref" in str(described.get("items", described.get("anyOf", described)))
        assert described.get("description"), name
        assert "'examples': [" in str(described) or is_nested, name


def test_every_parameter_is_described_with_an_example(document: dict[str, Any]) -> None:
    for route, operation in operations(document).items():
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (route, parameter["name"])
            assert "example" in parameter or parameter["schema"].get("examples"), (
                route,
                parameter["name"],
            )


def test_every_error_status_of_a_route_lists_its_codes_and_their_meaning(
    document: dict[str, Any],
) -> None:
    for route, operation in operations(document).items():
        for status, response in operation["responses"].items():
            (content,) = response["content"].values()
            schema = content["schema"]
            if not schema["$ref"].endswith("/ErrorBody"):
                continue
            codes = schema["properties"]["code"]["enum"]
            assert codes, (route, status)
            for code in codes:
                assert int(status) in ERROR_CODES[code].statuses, (route, status, code)
                assert f"`{code}`: {ERROR_CODES[code].meaning}" in response["description"]


def test_every_code_that_the_application_uses_is_documented() -> None:
    # The base class of the tree and two of its branches, of which nothing raises an instance.
    abstract = {"error", "conflict", "unavailable"}
    used = set(HTTP_CODES.values())
    for path in (ROOT / "app").rglob("*.py"):
        text = path.read_text()
        used |= set(re.findall(r'\bcode ?= ?"(\w+)"', text))
        # The transport answers by status and code, before Flask does.
        used |= set(re.findall(r'"[45]\d\d [A-Z][\w ]+",\s+"([a-z]+_[a-z_]+)"', text))

    assert used - abstract <= set(ERROR_CODES)


def test_every_documented_code_is_used_by_the_application() -> None:
    sources = [path for path in (ROOT / "app").rglob("*.py") if path.name != "error_codes.py"]
    # nginx answers some requests itself.
    sources.append(ROOT / "deploy" / "nginx.conf")
    text = "\n".join(path.read_text() for path in sources if path.name != "routes.py")

    assert [code for code in ERROR_CODES if f'"{code}"' not in text] == []


def test_only_statuses_that_a_trade_can_have_are_offered(document: dict[str, Any]) -> None:
    offered = document["components"]["schemas"]["TradeView"]["properties"]["status"]["enum"]

    reserved = {"SQUARED_OFF", "LIQUIDATED"}
    assert set(offered) == {status.value for status in TradeStatus} - reserved


def test_the_page_names_nothing_from_elsewhere(client: FlaskClient) -> None:
    answer = client.get("/docs")

    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", answer.text)
    assert any(tag.startswith("<script") for tag in tags)
    for tag in tags:
        for address in re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)""", tag):
            assert not address.lower().startswith(("http:", "https:", "//")), tag[:200]
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


@pytest.mark.needs("chromium", package="chromium")
def test_a_browser_shows_the_page_and_fetches_nothing_from_elsewhere(
    app: Flask, make_settings: Any
) -> None:
    from playwright.sync_api import Route, sync_playwright

    listener = listen(make_settings(PORT=0))
    stop = serve(app, listener)
    home = f"http://127.0.0.1:{listener.getsockname()[1]}"
    fetched: list[str] = []

    def refuse(route: Route) -> None:
        fetched.append(route.request.url)
        route.abort()

    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium",
                args=["--no-sandbox", "--disable-background-networking"],
            )
            page = browser.new_page()
            # Every request to another host passes here, unless the page's policy stops it.
            page.route(lambda url: not url.startswith((home, "blob:", "data:")), refuse)
            page.goto(f"{home}/docs")
            page.get_by_text("/trades/exit/{trade_id}").first.wait_for(timeout=20_000)
            # It reports its use when it has settled.
            page.wait_for_load_state("networkidle")
            browser.close()
    finally:
        stop()
        listener.close()
    assert fetched == []


def test_an_object_begins_with_its_own_id(document: dict[str, Any]) -> None:
    first = {"message", "access_token", "refresh_token"}
    for name, schema in document["components"]["schemas"].items():
        fields = list(schema.get("properties", {}))
        ids = [field for field in fields if field.endswith("_id") and field != "request_id"]
        # What a client sends has no field that the API does not know, and no id of its own.
        is_sent = schema.get("additionalProperties") is False
        if ids and not is_sent:
            assert set(fields[: fields.index(ids[0])]) <= first, name


def test_an_order_is_documented_from_its_symbol_to_its_trailing_stop(
    document: dict[str, Any],
) -> None:
    fields = list(document["components"]["schemas"]["CreateTradeRequest"]["properties"])

    assert fields[:3] == ["symbol", "trade_type", "quantity"]
    assert fields[-1] == "trailing_step"
