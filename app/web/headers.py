"""The headers that every answer carries, whoever writes it."""

from __future__ import annotations

POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": POLICY,
    # Prices change by the second, and the rest is of one user: documentation says otherwise itself.
    "Cache-Control": "no-store",
}
# One year, as browsers want it for a server that is reached by TLS alone.
TRANSPORT_SECURITY = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
