"""Every error code of the API: its statuses and its meaning. A released code never changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class ErrorCode(NamedTuple):
    statuses: tuple[int, ...]
    meaning: str


ERROR_CODES = {
    # Any request.
    "validation_error": ErrorCode((400,), "The input is invalid. `details` names each field."),
    "malformed_json": ErrorCode((400,), "The body is not valid JSON."),
    "host_not_allowed": ErrorCode((400,), "`ALLOWED_HOSTS` does not list the host."),
    "bad_request": ErrorCode((400,), "The request is malformed."),
    "token_missing": ErrorCode((401,), "The request has no token and no API key."),
    "token_invalid": ErrorCode((401,), "The token is malformed or was not issued by this server."),
    "api_key_invalid": ErrorCode((401,), "The API key does not exist, or was deleted."),
    "api_key_expired": ErrorCode((401,), "The API key has expired. Create a new one."),
    "token_expired": ErrorCode((401,), "The token is too old. Use the refresh token, or sign in."),
    "token_revoked": ErrorCode((401,), "The session of the token has ended. Sign in again."),
    "account_gone": ErrorCode((401,), "The account of the token no longer exists."),
    "forbidden": ErrorCode((403,), "The resource belongs to another user."),
    "insufficient_scope": ErrorCode(
        (403,), "The API key lacks the scope that `details.required` names."
    ),
    "not_found": ErrorCode((404,), "No route has this address."),
    "method_not_allowed": ErrorCode((405,), "The address does not support this method."),
    "body_too_large": ErrorCode((413,), "The body is larger than 64 KiB."),
    "unsupported_media_type": ErrorCode((415,), "The body is not JSON."),
    "rate_limited": ErrorCode(
        (429,),
        "A rate limit is used up. `details` has `limit`, `allowed` and `retry_after_seconds`.",
    ),
    "internal_error": ErrorCode((500,), "The server failed. The log has the `request_id`."),
    "http_error": ErrorCode((417, 505), "Any other error of HTTP."),
    "database_unavailable": ErrorCode((503,), "The database does not answer."),
    "disk_full": ErrorCode((503,), "The disk of the embedded database is nearly full."),
    "server_busy": ErrorCode((503,), "The server has more work than it accepts at once."),
    "no_monitor": ErrorCode((503,), "Another web server runs the application."),
    # Accounts.
    "email_taken": ErrorCode((409,), "The email is registered already."),
    "client_id_taken": ErrorCode((409,), "The `client_id` is taken."),
    "invalid_credentials": ErrorCode((401,), "The email, `client_id` or password is wrong."),
    "sign_in_delayed": ErrorCode((429,), "Too many sign-ins to this account have failed."),
    "password_required": ErrorCode((400,), "A new email or phone needs the `password` as well."),
    "password_wrong": ErrorCode((403,), "The current password is wrong."),
    "totp_required": ErrorCode((401,), "The account has a second factor: send `totp` as well."),
    "totp_invalid": ErrorCode(
        (401, 403), "The code of the second factor is wrong, or was used: 401 at a sign-in."
    ),
    "totp_wrong": ErrorCode((409,), "The code does not belong to the secret that was started."),
    "totp_enabled": ErrorCode((409,), "The account has a second factor already."),
    "totp_disabled": ErrorCode((409,), "The account has no second factor."),
    "session_not_found": ErrorCode((404,), "The user has no session with this id."),
    "code_wrong": ErrorCode((409,), "The code is wrong. `details` has `attempts_left`."),
    "code_expired": ErrorCode((409,), "No valid code exists. Request a new one."),
    "code_sent_already": ErrorCode((429,), "A code was sent less than a minute ago."),
    "code_not_sent": ErrorCode(
        (409, 503), "The mail server or Twilio rejected the code (409), or failed (503)."
    ),
    "too_many_codes": ErrorCode((429,), "The day's codes to this address are used up."),
    "too_many_messages": ErrorCode((429,), "The day's messages to this address are used up."),
    "channel_not_configured": ErrorCode((409,), "The server cannot send email, or SMS."),
    "phone_not_allowed": ErrorCode((409,), "The number is not a mobile number of `SMS_COUNTRIES`."),
    "phone_taken": ErrorCode((409,), "Another account has confirmed this number."),
    "invalid_expiry": ErrorCode((400,), "The API key would have expired already."),
    "api_key_not_found": ErrorCode((404,), "The user has no API key with this id."),
    "too_many_api_keys": ErrorCode((409,), "The user has 20 API keys."),
    # Prices and symbols.
    "unknown_symbol": ErrorCode(
        (400, 404), "The symbol does not exist: 404 in the path, 400 in a body or query."
    ),
    "unlisted_symbol": ErrorCode((400,), "The share is no longer listed."),
    "invalid_range": ErrorCode(
        (400,), "The range of time is reversed, or has too many candles or points."
    ),
    "market_data_unavailable": ErrorCode((503,), "No source has a price of the symbol."),
    "scenario_not_allowed": ErrorCode((403,), "In production no request starts a scenario."),
    "not_simulated": ErrorCode((409,), "The market is not the simulated one."),
    "scenario_running": ErrorCode((409,), "Another scenario is not over yet."),
    "watchlist_not_found": ErrorCode((404,), "The user has no watchlist with this id."),
    "watchlist_name_taken": ErrorCode(
        (409,), "Another watchlist of the user has the name. `details` has its `watchlist_id`."
    ),
    "watchlist_full": ErrorCode((409,), "The watchlist has 100 symbols."),
    "too_many_watchlists": ErrorCode((409,), "The user has 20 watchlists."),
    # Portfolios and trades.
    "portfolio_not_found": ErrorCode((404,), "The user has no portfolio of this name."),
    "reset_meanwhile": ErrorCode(
        (409,), "Another request reset the portfolio first. `details` has the current `season`."
    ),
    "insufficient_funds": ErrorCode(
        (400,),
        "Less can be withdrawn. `details` has `withdrawable`: the available margin, without what "
        "open trades have lost so far.",
    ),
    "balance_too_large": ErrorCode(
        (400,), "The portfolio would hold too much. `details` has the `limit` in rupees."
    ),
    "season_not_found": ErrorCode((404,), "The portfolio has no season with this number."),
    "too_many_portfolios": ErrorCode((409,), "The user has 20 portfolios."),
    "quantity_off_lot": ErrorCode(
        (400,), "The quantity is not whole lots. `details` has the `lot_size`, `below` and `above`."
    ),
    "freeze_quantity": ErrorCode(
        (400,),
        "The quantity is more than one order may have. `details` has the `freeze_quantity`, and "
        "`below`, the largest legal quantity.",
    ),
    "price_off_tick": ErrorCode(
        (400,),
        "The price in `param` is not a multiple of the tick size. `details` has the `tick_size`, "
        "and the nearest legal prices `below` and `above`.",
    ),
    "price_outside_band": ErrorCode(
        (400,),
        "The exchange allows no such price on this day. `details` has `lower_band`, `upper_band`, "
        "and the nearest legal price, `below` or `above`.",
    ),
    "would_trigger_immediately": ErrorCode(
        (400,), "The last price has reached the stop price. `details` has the `price`."
    ),
    "wrong_side_of_price": ErrorCode(
        (400,), "The stop-loss or target is on the wrong side. `details` has the `price`."
    ),
    "insufficient_margin": ErrorCode(
        (400,),
        "The margin or the equity is too small. `details` has `required_margin` and "
        "`available_margin` in rupees, and `below`, the largest quantity that has enough.",
    ),
    "trade_not_found": ErrorCode((404,), "The user has no trade with this id."),
    "not_pending": ErrorCode(
        (409,), "The entry of the trade does not wait: `details.trade` is the trade as it is."
    ),
    "trade_ended": ErrorCode((409,), "The trade is over: `details.trade` is the trade as it is."),
    "quantity_not_held": ErrorCode(
        (409,), "The trade holds less than is to be exited: `details.trade` is the trade as it is."
    ),
    "changed_meanwhile": ErrorCode(
        (409,),
        "The trade has changed since the request read it, or has another `version` than the body: "
        "`details.trade` is the trade as it is.",
    ),
    "trade_not_active": ErrorCode(
        (409,),
        "The trade is over, or waits for its entry. `details` has its `status` and `pnl`, and "
        "`trade` as it is.",
    ),
    "market_closed": ErrorCode((409,), "The exchange is closed. `details` has `next_open`."),
    "too_many_pending": ErrorCode((409,), "250 trades of the user wait for their entry."),
    "price_too_old": ErrorCode(
        (409,), "The last price is too old. `details` has `age_seconds` and `limit_seconds`."
    ),
    "last_price_too_early": ErrorCode(
        (409,), "`at_last_price` needs a trading day without prices. `details` has `last_seen`."
    ),
    "client_order_id_reused": ErrorCode(
        (409,), "Another order of the user has this `client_order_id`."
    ),
    "idempotency_key_reused": ErrorCode(
        (409,), "Another request of the user has this `Idempotency-Key`."
    ),
    # Alerts and notifications.
    "already_crossed": ErrorCode((400,), "The price has reached the level of the alert already."),
    "too_many_alerts": ErrorCode((409,), "The user has 100 active alerts."),
    "alert_changed": ErrorCode((409,), "The alert has fired, or another request changed it."),
    "alert_not_found": ErrorCode((404,), "The user has no alert with this id."),
    "notification_not_found": ErrorCode((404,), "The user has no notification with this id."),
    "webhook_not_found": ErrorCode((404,), "The user has no webhook with this id."),
    "delivery_not_found": ErrorCode((404,), "The webhook has no delivery with this id."),
    "event_deleted": ErrorCode((409,), "The event to replay is not stored any more."),
    "webhook_url_refused": ErrorCode(
        (400,), "The URL of a webhook is not https or not of the public internet."
    ),
    "too_many_webhooks": ErrorCode((409,), "The user has 5 webhooks."),
    "link_unknown": ErrorCode((404,), "The link was not sent by this server."),
    # The transport, before routing.
    "malformed_request": ErrorCode((400,), "The request is not valid HTTP/1.1."),
    "request_timeout": ErrorCode((408,), "The request did not arrive in time."),
    "headers_too_large": ErrorCode((431,), "The headers are larger than 32 KiB, or exceed 100."),
    "tls_required": ErrorCode((403,), "Without TLS, nginx accepts only reads."),
    "http_version": ErrorCode((505,), "The version is neither HTTP/1.1 nor HTTP/1.0."),
    "bad_handshake": ErrorCode((400,), "The WebSocket handshake is malformed."),
    "jsonp_not_served": ErrorCode((400,), "Socket.IO polling by JSONP is not supported."),
    # Sockets only.
    "unauthorized": ErrorCode((), "The socket has no valid token."),
    "unknown_event": ErrorCode((), "The event does not exist. The error names the known ones."),
    "too_many_symbols": ErrorCode((), "The socket would follow too many symbols."),
}
# By status, the codes of every route; of routes with a token, input, a body or a key; of writes.
ANY_ROUTE = {
    400: ["host_not_allowed", "malformed_request"],
    429: ["rate_limited"],
    500: ["internal_error"],
    503: ["database_unavailable", "no_monitor", "server_busy"],
}
WITH_TOKEN = {
    401: [
        *("api_key_expired", "api_key_invalid"),
        *("token_expired", "token_invalid", "token_missing", "token_revoked"),
    ],
    403: ["insufficient_scope"],
}
WITH_INPUT = {400: ["validation_error"]}
WITH_BODY = {
    400: ["bad_request", "malformed_json"],
    413: ["body_too_large"],
    415: ["unsupported_media_type"],
}
WITH_KEY = {409: ["idempotency_key_reused"]}
OF_WRITES = {503: ["disk_full"]}


def merge_codes(*groups: Mapping[int, Iterable[str]]) -> dict[int, list[str]]:
    """Return the codes of all groups by status, each list in alphabetical order."""
    statuses = sorted({status for group in groups for status in group})
    return {
        status: sorted({code for group in groups for code in group.get(status, ())})
        for status in statuses
    }
