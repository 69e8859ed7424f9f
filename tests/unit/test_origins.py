"""CORS_ORIGINS: origins as browsers send them; anything else is refused at the start."""

from __future__ import annotations

import pytest

from app.configuration.origins import is_loopback, parse_hosts, parse_origins
from config import ConfigurationError, load_settings


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Desk.Example.com/", "https://desk.example.com"),
        ("HTTP://LOCALHOST:3000", "http://localhost:3000"),
        ("https://desk.example:443", "https://desk.example"),
        ("http://desk.example:80/", "http://desk.example"),
        ("https://desk.example:80", "https://desk.example:80"),
        ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("*", "*"),
    ],
)
def test_an_origin_is_normalized_as_browsers_send_it(given: str, kept: str) -> None:
    assert parse_origins(given) == (kept,)


def test_a_repeated_origin_is_kept_once() -> None:
    given = "https://a.example, https://A.example:443/ ,https://b.example"
    assert parse_origins(given) == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("desk.example.com", "must begin with http:// or https://"),
        ("localhost:3000", "must begin with http:// or https://"),
        ("//desk.example.com", "must begin with http:// or https://"),
        ("http:/desk.example.com", "must begin with http:// or https://"),
        ("null", "must begin with http:// or https://"),
        ("wss://desk.example.com", "must begin with http:// or https://"),
        ("file:///home", "must begin with http:// or https://"),
        ("https://desk.example.com/app", "an origin has no path"),
        ("https://desk.example.com?x=1", "an origin has no path"),
        ("https://desk.example.com#top", "an origin has no path"),
        ("https://a.example;https://b.example", "an origin has no path"),
        ('["https://desk.example.com"]', "without brackets or quotes"),
        ("['https://a.example', 'https://b.example']", "without brackets or quotes"),
        ('"https://desk.example.com"', "without brackets or quotes"),
        ("https://*.example.com", "not by wildcard"),
        ("https://.*", "not by wildcard"),
        ("http://localhost:*", "not by wildcard"),
        (r"https://desk\.example\.com", "is not scheme://host"),
        ("https://(a|b).example", "is not scheme://host"),
        ("https://^desk.example$", "is not scheme://host"),
        ("https://user@desk.example", "is not scheme://host"),
        ("https://desk.example:99999", "is not scheme://host"),
        ("https://desk.example:http", "is not scheme://host"),
        ("https://a.example b.example", "is not scheme://host"),
        ("https://", "is not scheme://host"),
    ],
)
def test_an_origin_that_can_never_match_is_refused(given: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_settings({"CORS_ORIGINS": given})

    (offence,) = refusal.value.offences
    assert offence.startswith("CORS_ORIGINS: ")
    assert says in offence


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("API.example.com", ("api.example.com",)),
        (".example.com, localhost", (".example.com", "localhost")),
        ("[::1],10.0.0.5", ("::1", "10.0.0.5")),
        ("*", ("*",)),
    ],
)
def test_hosts_are_normalized_as_browsers_send_them(given: str, kept: tuple[str, ...]) -> None:
    assert parse_hosts(given) == kept


@pytest.mark.parametrize(
    "given", ["https://api.example", "api.example:443", "api.example/x", "*.example",
              "a b", ".1.2.3.4"]
)  # fmt: skip
def test_an_invalid_host_name_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="is not a host name"):
        parse_hosts(given)


def test_only_addresses_of_this_machine_are_loopback() -> None:
    assert all(
        is_loopback(each) for each in ("localhost", "127.8.8.8", "::1", "[::1]", "a.localhost")
    )
    assert not any(
        is_loopback(each) for each in ("localhost.evil.example", "10.0.0.1", "a", "0.0.0.0")
    )
