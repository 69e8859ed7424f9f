"""Addresses of clients as rate limits count them."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network


# Cached, because parsing takes longer than the rest of a rate limit.
@lru_cache(maxsize=10_000)
def client_network(address: str | None) -> str:
    """Return the part of an address that a client cannot vary: all of IPv4, /64 of IPv6."""
    try:
        parsed = ip_address(_without_port(address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))


def truncate_address(address: str | None) -> str:
    """Return the network of an address, without its last part: /24 of IPv4, /48 of IPv6.

    It distinguishes a user's places, and does not identify a connection.
    """
    network = client_network(address).partition("/")[0]
    try:
        parsed = ip_address(network)
    except ValueError:
        return ""
    size = 24 if isinstance(parsed, IPv4Address) else 48
    return str(ip_network((parsed, size), strict=False))


def _without_port(address: str) -> str:
    # Some proxies add the port of the client, which differs for each connection.
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
