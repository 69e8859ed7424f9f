"""Which URLs and addresses a webhook may have."""

from __future__ import annotations

import pytest

from app.domain.errors import InvalidRequest
from app.webhooks.addresses import check_url, is_public


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"],
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "::1", "::"),
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd00:ec2::254"),
        # Link-local, with the metadata services of clouds.
        *("169.254.169.254", "169.254.170.2", "fe80::1", "fe80::1%eth0", "fec0::1"),
        *("100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16", "198.18.0.1"),
        *("224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "ff02::1"),
        # IPv4 inside IPv6: mapped, compatible, 6to4, Teredo, NAT64.
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "2002:7f00:1::"),
        *("2002:a9fe:a9fe::", "2001:0:5ef5:79fb:0:0:80ff:fffe", "64:ff9b::7f00:1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2001:db8::1", "100::1"),
        *("", "localhost", "8.8.8", "8.8.8.8:80"),
    ],
)
def test_any_other_address_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://bot.example.com", "https://bot.example.com"),
        (
            "HTTPS://BOT.Example.com:443/Events?a=1&b=%20",
            "https://bot.example.com/Events?a=1&b=%20",
        ),
        ("https://bot.example.com.:8443/", "https://bot.example.com:8443/"),
        ("https://8.8.8.8/hook", "https://8.8.8.8/hook"),
        ("https://[2606:4700::1111]/hook", "https://[2606:4700::1111]/hook"),
        ("http://private.example.com/hook", "http://private.example.com/hook"),
        ("http://127.0.0.1:9000/hook", "http://127.0.0.1:9000/hook"),
        ("http://below.lan.example/hook", "http://below.lan.example/hook"),
    ],
)
def test_a_url_is_stored_with_its_host_as_dns_has_it(url: str, stored: str) -> None:
    allowed = ("private.example.com", "127.0.0.1", ".lan.example")

    assert check_url(url, allowed, plain_http=False) == stored


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://bot.example.com/", "begin with https"),
        ("ftp://bot.example.com/", "begin with https"),
        ("file:///etc/passwd", "begin with https"),
        ("bot.example.com", "begin with https"),
        ("https://", "host"),
        ("https:///path", "host"),
        ("https://bot.example.com:0/", "host and port"),
        ("https://bot.example.com:99999/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://user:secret@bot.example.com/", "no user"),
        ("https://bot.example.com@127.0.0.1/", "no user"),
        ("https://bot.example.com/#part", "no user, password or fragment"),
        ("https://bot.example.com/a b", "ASCII characters"),
        ("https://bot.example.com/\r\nX-Injected: 1", "ASCII characters"),
        ("https://bot.example.com/\u00e9", "ASCII characters"),
        ("https://bot.example.com/" + "a" * 2_048, "2048"),
        ("https://localhost/", "public internet"),
        ("https://LOCALHOST./", "public internet"),
        ("https://printer/", "public internet"),
        ("https://db.internal/", "public internet"),
        ("https://127.0.0.1/", "public internet"),
        ("https://[::ffff:7f00:1]/", "public internet"),
        ("https://169.254.169.254/latest/meta-data", "public internet"),
        ("https://evil-lan.example.com.lan/", None),
    ],
)
def test_any_other_url_is_refused_with_its_reason(url: str, reason: str | None) -> None:
    if reason is None:
        # A suffix of an allowed name is another name, and public until it is resolved.
        assert check_url(url, (".lan.example",), plain_http=False) == url
        return
    with pytest.raises(InvalidRequest) as refusal:
        check_url(url, (), plain_http=False)

    assert refusal.value.code == "webhook_url_refused"
    assert reason in refusal.value.details["url"]


def test_plain_http_is_for_development() -> None:
    url = "http://bot.example.com/"

    assert check_url(url, (), plain_http=True) == url
    with pytest.raises(InvalidRequest):
        check_url("http://192.168.1.1/", (), plain_http=True)
