"""Which addresses webhooks may reach: those of the public internet, and hosts of the operator.

The check is repeated for each delivery, on the addresses to which the name resolves then, and the
connection goes to the address that was checked. So a name that resolves to another address later
reaches nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from app.configuration.origins import host_of
from app.domain.errors import InvalidRequest

MAX_URL_LENGTH = 2_048
DEFAULT_PORTS = {"https": 443, "http": 80}
# All unicast addresses that IANA has assigned so far:
# https://www.iana.org/assignments/ipv6-address-space
_GLOBAL_UNICAST = ip_network("2000::/3")
# Translates to an IPv4 address in its last 32 bits (RFC 6052).
_NAT64 = ip_network("64:ff9b::/96")
# Not private to Python, but metadata services of clouds: Oracle's in a block for protocols, and
# Azure's in the middle of public addresses.
_METADATA = (ip_network("192.0.0.0/24"), ip_network("168.63.129.16/32"))


def is_public(text: str) -> bool:
    """Return whether an IP address belongs to the public internet.

    Addresses that contain an IPv4 address are judged by that one.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        embedded = _embedded(address)
        if embedded is not None:
            return is_public(str(embedded))
        if address.scope_id or address not in _GLOBAL_UNICAST:
            return False
    is_metadata = any(address in network for network in _METADATA)
    return address.is_global and not address.is_multicast and not is_metadata


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


def is_listed(host: str, allowed: Collection[str]) -> bool:
    """Return whether the operator allows a host: by its name, or by `.domain` for all below it."""
    return any(host == each or (each.startswith(".") and host.endswith(each)) for each in allowed)


def check_url(url: str, allowed: Collection[str], *, plain_http: bool) -> str:
    """Return the URL of a webhook with its host as DNS has it; raise InvalidRequest if refused.

    `allowed` are hosts that may also be private and use http; `plain_http` permits http for all.
    """
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > MAX_URL_LENGTH:
        raise _refused(f"must be at most {MAX_URL_LENGTH} ASCII characters without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("is not a URL") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise _refused("must begin with https://")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _refused("must have no user, password or fragment")
    host = host_of(parts.netloc)
    host = host and host.removesuffix(".")
    if not host or port == 0:
        raise _refused("has no valid host and port")
    if not is_listed(host, allowed):
        if parts.scheme == "http" and not plain_http:
            raise _refused("must begin with https://")
        if _is_private(host):
            raise _refused("must be an address of the public internet")
    shown = f"[{host}]" if ":" in host else host
    netloc = shown if port in (None, DEFAULT_PORTS[parts.scheme]) else f"{shown}:{port}"
    return parts._replace(netloc=netloc).geturl()


def _is_private(host: str) -> bool:
    """Return whether a host is private by itself; a name is resolved at each delivery."""
    try:
        ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return not is_public(host)


def _refused(reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"The URL of the webhook {reason}.",
        code="webhook_url_refused",
        details={"url": reason},
    )
