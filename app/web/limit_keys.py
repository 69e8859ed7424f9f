"""Keys under which rate limits count the current request."""

from __future__ import annotations

from flask import g, request

from app.web.addresses import client_network


def rate_limit_key() -> str:
    """Return the key that a request counts under: its user, or its address on public routes.

    On a public route a token changes nothing: otherwise each account would add to the limit.
    """
    if g.principal is None or g.is_public:
        return address_key()
    return f"user:{g.principal.user_id}"


def address_key() -> str:
    """Return the key that the address of a request counts under."""
    return f"address:{client_network(request.remote_addr)}"
