"""The security headers of every response."""

from __future__ import annotations

POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": POLICY,
    # Prices change every second, and the rest is private. The documentation sets its own header.
    "Cache-Control": "no-store",
}
# One year, as browsers recommend for servers that use only TLS.
TRANSPORT_SECURITY = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
