"""Schemathesis loads this module: it adds what the OpenAPI document cannot express."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, HookContext, Response

# Addresses and numbers that exist: the document can only name the format.
words = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True)
emails = st.builds("{}.{}@{}.in".format, words, words, words.map(lambda word: f"x{word}x"))
phones = st.from_regex(r"(\+91)?[6-9][0-9]{9}", fullmatch=True)
schemathesis.openapi.format("email", emails)
schemathesis.openapi.format("phone", phones)

# Refusals of a well-formed request that depend on the market, the time and the user's money.
RULES_OF_TRADING = {
    "unknown_symbol",
    "price_off_tick",
    "price_outside_band",
    "wrong_side_of_price",
    "already_crossed",
    "insufficient_margin",
    # A span of time that ends before it begins, or holds too many candles.
    "invalid_range",
    # A new email or phone without the password.
    "password_required",
    # A key that would have expired already.
    "invalid_expiry",
    # A URL that is none, or leads to a private address.
    "webhook_url_refused",
}
# What fits some types of order only, and some pairs; rules about several fields of a body; and the
# names of portfolios, which have letters of any script.
BEYOND_SCHEMA = {
    *("order_type", "limit_price", "stop_price", "time_in_force", "orders"),
    *("body", "portfolio", "name"),
}
# The only level of an alert cannot be removed; which one it has, the alert alone knows.
LAST_LEVEL = "one level must stay; delete the alert instead"
# GET /portfolio/{user_id}, GET /trades/{user_id}, and GET and PATCH /trades/{user_id}/{trade_id}
# match these addresses too, with "create" or "exit" as the user: so their methods are rightly in
# the Allow header, and cannot be documented a second time.
SHARED_ADDRESSES = {
    "/portfolio/create",
    "/trades/create",
    "/trades/preview",
    "/trades/oco",
    "/trades/cancel/{trade_id}",
    "/trades/exit/{trade_id}",
    "/trades/exit-all/{user_id}",
    "/trades/performance/{user_id}",
    "/trades/statistics/{user_id}",
    "/trades/{user_id}/export.csv",
}


@schemathesis.hook
def filter_failure(context: HookContext, failure: Any, case: Case[Any], response: Response) -> bool:
    """Return whether a failure counts."""
    kind = type(failure).__name__
    if kind == "RejectedPositiveData" and response.status_code == 400:
        body = response.json()
        return bool(body.get("code") not in RULES_OF_TRADING and not _is_beyond_schema(body))
    return not (kind == "AllowHeaderMismatch" and case.operation.path in SHARED_ADDRESSES)


def _is_beyond_schema(body: dict[str, Any]) -> bool:
    """Return whether all faults of the input are such that no schema here says."""
    details = body.get("details", {})
    names = {name.rpartition(".")[2] for name, fault in details.items() if fault != LAST_LEVEL}
    return bool(details) and names <= BEYOND_SCHEMA
