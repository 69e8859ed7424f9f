"""Attack: reach the server by another host name, or make a browser misuse a response."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.responses import assert_error
from tests.support.users import Trader

HANDSHAKE = "/socket.io/?EIO=4&transport=polling"
SECURE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def ask(client: FlaskClient, host: str, path: str = "/market/status") -> TestResponse:
    return client.get(path, headers={"Host": host})


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:5000", "EVIL.example.", "localhost.evil.example",
        "127.0.0.1.evil.example", "127.0.0.1.nip.io", "trading.evil", "user@localhost", "a b",
        "localhost:port", "[::1", "localhost,evil.example", "\\evil", "localhost/evil", "",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/market/status", HANDSHAKE, "/docs", "/nope"])
def test_a_request_for_another_host_is_refused(client: FlaskClient, host: str, path: str) -> None:
    answer = ask(client, host, path)

    assert_error(answer, 400, "host_not_allowed")
    assert "Location" not in answer.headers
    assert {name: answer.headers[name] for name in SECURE} == SECURE


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST:5000", "localhost.", "app.localhost:5000", "127.0.0.1:5000",
        "127.9.9.9", "[::1]:5000", "192.168.1.20:5000", "[fd00::5]", "api", "api:5000",
        "my-laptop.local:5000", "host.docker.internal",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/market/status", HANDSHAKE])
def test_names_that_no_page_elsewhere_can_use_are_ours(
    client: FlaskClient, host: str, path: str
) -> None:
    assert ask(client, host, path).status_code == 200


def test_the_hosts_of_listed_origins_and_of_host_are_ours(make_app: Callable[..., Flask]) -> None:
    app = make_app(CORS_ORIGINS="https://desk.example.com:8443", HOST="api.example.com")
    client = app.test_client()

    assert ask(client, "desk.example.com").status_code == 200
    assert ask(client, "api.example.com:5000").status_code == 200
    assert ask(client, "other.example.com").status_code == 400


def test_allowed_hosts_are_those_named_and_this_machine(make_app: Callable[..., Flask]) -> None:
    client = make_app(ALLOWED_HOSTS="api.example.com,.desk.example.com").test_client()

    for host in ("api.example.com", "desk.example.com", "a.b.desk.example.com:443", "127.0.0.1"):
        assert ask(client, host).status_code == 200, host
    for host in ("example.com", "xdesk.example.com", "192.168.1.20", "api", "api.example.com.evil"):
        assert ask(client, host).status_code == 400, host


def test_every_host_is_allowed_if_configured(make_app: Callable[..., Flask]) -> None:
    assert ask(make_app(ALLOWED_HOSTS="*").test_client(), "anything.example").status_code == 200


def test_probes_may_name_any_host(client: FlaskClient) -> None:
    assert ask(client, "pod-7.cluster.example", "/health/live").status_code == 200


@pytest.mark.parametrize("path", ["//market/status", "/market//status", "//evil.example/%2e%2e"])
def test_no_address_is_redirected_to_the_host_of_the_request(
    client: FlaskClient, path: str
) -> None:
    answer = client.open(path=path, base_url="http://localhost")

    assert_error(answer, 404, "not_found")
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "path",
    ["/market/status", "/nope", "/notifications", "/health/live", "/openapi.json", HANDSHAKE,
     "/socket.io/?EIO=4&transport=polling&sid=none", "/socket.io/?EIO=9", "/socket.io"],
)  # fmt: skip
def test_every_answer_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    answer = client.get(path)

    assert {name: answer.headers[name] for name in SECURE} == SECURE
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Request-ID"]
    assert "Strict-Transport-Security" not in answer.headers
    assert "Access-Control-Allow-Credentials" not in answer.headers
    for name, _ in answer.headers:
        assert len(answer.headers.getlist(name)) == 1


def test_private_responses_are_not_cached(alice: Trader) -> None:
    body = {"client_id": alice.client_id, "password": "wrong"}
    for answer in (
        alice.get(f"/portfolio/{alice.client_id}"),
        alice.get("/notifications"),
        alice.client.post("/auth/login", json=body),
    ):
        assert answer.headers["Cache-Control"] == "no-store"


def test_responses_over_tls_require_tls(
    make_app: Callable[..., Flask],
) -> None:
    client = make_app(TRUSTED_PROXIES=1).test_client()

    for path in ("/market/status", "/nope", HANDSHAKE):
        by_tls = client.get(path, headers={"X-Forwarded-Proto": "https"})
        assert "max-age=31536000" in by_tls.headers["Strict-Transport-Security"]
        assert "Strict-Transport-Security" not in client.get(path).headers


@pytest.mark.parametrize("query", ["j=0", "j=1&sid=none", "j=", "j=a"])
def test_jsonp_is_not_served(client: FlaskClient, query: str) -> None:
    answer = client.get(f"{HANDSHAKE}&{query}")

    if query == "j=":
        assert not answer.text.startswith("___eio")
    else:
        assert_error(answer, 400, "jsonp_not_served")


def test_new_sockets_of_an_address_are_limited_before_they_are_logged(
    make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    client = make_app(RATELIMIT_ENABLED="true", RATELIMIT_SOCKETS="3 per minute").test_client()
    caplog.set_level("INFO")
    answers = [client.get(HANDSHAKE, headers={"Origin": "http://localhost:3000"}) for _ in range(9)]

    assert [each.status_code for each in answers] == [200] * 3 + [429] * 6
    details = assert_error(answers[-1], 429, "rate_limited")
    assert (details["limit"], details["allowed"]) == ("sockets", "3 per 1 minute")
    assert int(answers[-1].headers["Retry-After"]) == details["retry_after_seconds"]
    assert answers[-1].headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    refusals = [line for line in caplog.messages if "refused a request" in line]
    assert len(refusals) == 1
    elsewhere = client.get(HANDSHAKE, environ_overrides={"REMOTE_ADDR": "10.0.0.9"})
    assert elsewhere.status_code == 200


def test_an_open_socket_is_not_counted_again(make_app: Callable[..., Flask]) -> None:
    client = make_app(RATELIMIT_ENABLED="true", RATELIMIT_SOCKETS="1 per minute").test_client()
    session = re.search('"sid":"([^"]+)"', client.get(HANDSHAKE).text)
    assert session

    for _ in range(5):
        sent = client.post(f"{HANDSHAKE}&sid={session[1]}", data="3")
        assert sent.status_code == 200
    assert client.get(f"{HANDSHAKE}&sid=guessed").status_code == 429


def test_the_documentation_runs_no_script_of_the_page(client: FlaskClient) -> None:
    page = client.get("/docs")

    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-eval" not in policy
    for script in re.findall(r"<script\b[^>]*>[^<]*", page.text):
        assert re.fullmatch(r'<script type="module" src="/static/redoc.js">', script)
    assert not re.search(r"\son\w+=", page.text)


@pytest.mark.parametrize("path", ["/docs", "/static/redoc.js"])
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_the_documentation_is_kept_by_browsers(
    client: FlaskClient, path: str, encoding: str
) -> None:
    headers = {"Accept-Encoding": encoding}
    answer = client.get(path, headers=headers)
    assert "max-age=3600" in answer.headers["Cache-Control"]

    again = client.get(path, headers={**headers, "If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert len(answer.data) < 1_000_000 or encoding == "identity"


@pytest.mark.parametrize("name", ["scalar.js", "../config.py", "..%2f__init__.py", "/etc/passwd"])
def test_nothing_but_the_script_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404
