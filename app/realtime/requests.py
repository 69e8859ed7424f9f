"""What clients send over a socket, in each form that has one plain meaning."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pymongo.errors import PyMongoError
from werkzeug.datastructures import Headers

from app.database.transactions import is_outage
from app.domain.errors import InvalidRequest, Unauthenticated
from app.services import services
from app.web.auth import bearer_token, read_token, token_expired
from app.web.key_auth import HEADER, authenticate_key, key_expired
from app.web.principal import Principal, PrincipalKind
from app.web.sessions import require_live

MAX_NAMES = 500
# Names that clients use for the token: `access_token` is its name in the response of a sign-in.
TOKEN_FIELDS = ("token", "access_token", "authorization", "Authorization")
BEARER = re.compile(r"\s*bearer\s+", re.IGNORECASE)
KEY_FIELDS = ("api_key", HEADER)
MAX_QUOTED = 64


def as_object(payload: Any, field: str) -> dict[str, Any]:
    """Return a payload as an object; a text or a list is the value of its main field."""
    if payload is None:
        return {}
    if isinstance(payload, str) and payload.lstrip()[:1] in ("{", "["):
        payload = _from_json(payload)
    if isinstance(payload, dict):
        return payload
    if isinstance(payload, str) or (isinstance(payload, list) and field == "symbols"):
        return {field: payload}
    raise InvalidRequest(f"Send an object with {field}.")


def read_user_id(payload: Mapping[str, Any]) -> str:
    """Return the user that a payload names."""
    value = payload.get("user_id", payload.get("client_id"))
    if not isinstance(value, str) or not value.strip():
        raise _missing("user_id", payload)
    return value.strip()


def read_since(payload: Mapping[str, Any]) -> int | None:
    """Return the seq after which to replay events, if any."""
    since = payload.get("since")
    if since is None:
        return None
    if isinstance(since, float) and since.is_integer():
        since = int(since)
    if isinstance(since, bool) or not isinstance(since, int) or since < 0:
        raise InvalidRequest("since must be a whole number from 0, the last seq you have seen.")
    return since


def read_symbols(payload: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the canonical symbols of a payload, and the names that are unknown."""
    if "symbols" not in payload and "symbol" not in payload:
        raise _missing("symbols", payload)
    names = [*_names(payload.get("symbols", [])), *_names(payload.get("symbol", []))]
    if len(names) > MAX_NAMES:
        raise InvalidRequest(f"symbols may have at most {MAX_NAMES} names.")
    instruments = {name: services().instruments.find(name) for name in names}
    known = dict.fromkeys(instrument.symbol for instrument in instruments.values() if instrument)
    return list(known), [name for name, instrument in instruments.items() if instrument is None]


def read_batch(payload: Mapping[str, Any]) -> bool | None:
    """Return whether prices are to come as `live_prices`; None leaves it as it is."""
    batch = payload.get("batch")
    if batch is not None and not isinstance(batch, bool):
        raise InvalidRequest("batch must be true or false.")
    return batch


def read_principal(payload: Mapping[str, Any]) -> Principal | None:
    """Return the principal of the token or API key in `auth` or in a `join`; None without one.

    Raises Unauthenticated for an invalid one.
    """
    for name in KEY_FIELDS:
        if payload.get(name) is not None:
            return authenticate_key(str(payload[name]))
    for name in TOKEN_FIELDS:
        if payload.get(name) is not None:
            return read_token(BEARER.sub("", str(payload[name]), count=1).strip())
    return None


def read_handshake(auth: Any, headers: Headers, query: Mapping[str, str]) -> Principal | None:
    """Return the principal of a connection; None if no token or API key came with it.

    Raises Unauthenticated for an invalid one, InvalidRequest for one in the address.
    """
    fields = auth if isinstance(auth, dict) else {"token": auth or None}
    principal = read_principal(fields)
    if principal is None and HEADER in headers:
        principal = authenticate_key(headers[HEADER])
    if principal is None and "Authorization" in headers:
        principal = read_token(bearer_token(headers["Authorization"]))
    if principal is None and any(query.get(name) for name in (*TOKEN_FIELDS, *KEY_FIELDS)):
        raise InvalidRequest(
            "A token or API key in the address is not accepted, because addresses are logged. "
            "Send it as auth: {token} or {api_key}, or in a header."
        )
    try:
        return principal and require_valid(principal)
    except PyMongoError as error:
        if not is_outage(error):
            raise
        # Prices need no session, and a `join` checks it again.
        return principal


def require_valid(principal: Principal | None) -> Principal:
    """Return the principal; raise Unauthenticated if there is none or it is not valid any more.

    The leeway for clocks does not apply: a socket leaves its rooms when the token expires.
    """
    if principal is None:
        raise Unauthenticated(
            "Connect with auth: {token} or {api_key}, or join with {user_id, token}."
        )
    if principal.expires_at <= time.time():
        raise credential_expired(principal)
    require_live(principal)
    return principal


def credential_expired(principal: Principal) -> Unauthenticated:
    """Return the error for a principal whose token or API key has expired."""
    return key_expired() if principal.kind is PrincipalKind.API_KEY else token_expired()


def unknown_event(name: str, known: list[str]) -> InvalidRequest:
    """Return the error for an event that does not exist."""
    hint = _hint(name, known)
    return InvalidRequest(
        f"There is no event {name!r}.{hint} Events are {', '.join(known)}.", code="unknown_event"
    )


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InvalidRequest("symbols must be a list of names.")
    return value


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest("The payload is neither an object nor JSON.") from None


def _missing(field: str, payload: Mapping[str, Any]) -> InvalidRequest:
    sent = [str(name)[:MAX_QUOTED] for name in payload if name != field]
    close = get_close_matches(field, sent, 1, 0.5)
    hint = f" You sent {close[0]!r}: did you mean {field}?" if close else ""
    return InvalidRequest(f"{field} is missing.{hint}")


def _hint(name: str, known: list[str]) -> str:
    close = get_close_matches(name.lower(), known, 1)
    return f" Did you mean {close[0]!r}?" if close else ""
