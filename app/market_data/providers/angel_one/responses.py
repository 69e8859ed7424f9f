"""The responses of SmartAPI: three shapes of failure, classified by their codes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from app.market_data.providers.base import SourceUnavailable

# https://smartapi.angelbroking.com/docs/Exceptions, and codes seen in responses.
SESSION_OVER = frozenset({"AG8001", "AG8002", "AG8003", "AB1010", "AB1011", "AB8050", "AB8051"})
TRY_LATER = frozenset({"AB1004", "AB2000", "AB2001"})
WRONG_CODE = "AB1050"
# The account has no access to the route.
NOT_SUBSCRIBED = "AB9999"

ACCESS_RATE = b"exceeding access rate"
_CODE = re.compile(r"[A-Z]{2}\d{2,6}")
# The spellings of the field that holds the code, in lower case.
_CODE_NAMES = frozenset({"errorcode", "error_code", "code"})
# The end of a session, in a message without a code. An instrument's token is not a session's.
_OVER = re.compile(
    r"(invalid|expired|missing)\W+(\w+\W+)?(token|session|jwt)"
    r"|(token|session|jwt)\W+(\w+\W+){0,2}(invalid|expired|over|missing)",
    re.IGNORECASE,
)
_OTHER_TOKENS = re.compile(r"symbol|scrip|exchange|totp", re.IGNORECASE)
_REFUSED = re.compile(
    r"subscri|entitle|permission|not (allowed|enabled|authori[sz]ed|permitted)", re.IGNORECASE
)
_MAX_MESSAGE = 200


class AngelFailure(SourceUnavailable):
    """Angel One answered with an error."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int = 200,
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Keep the vendor's `code` in capitals and its `reason`, both without secrets."""
        super().__init__(message, retry_after=retry_after)
        self.code = code
        self.status = status
        self._reason = reason

    @property
    def is_session_over(self) -> bool:
        """Whether a new sign-in helps, by the code or, without one, by the message."""
        if self.code:
            return self.code in SESSION_OVER
        says_so = _OVER.search(self._reason) and not _OTHER_TOKENS.search(self._reason)
        return self.status == 401 or bool(says_so)

    @property
    def is_refusal(self) -> bool:
        """Whether the account has no access to the route, and will get none today."""
        if self.is_session_over or self.retry_after is not None or self.code in TRY_LATER:
            return False
        says_so = _REFUSED.search(self._reason)
        return self.status == 403 or self.code == NOT_SUBSCRIBED or bool(says_so)


def read_response(status: int, body: bytes, secrets: Collection[str]) -> dict[str, Any]:
    """Return the JSON object of a success, numbers as Decimal; raise AngelFailure.

    The message of the failure contains none of `secrets`, whatever the response quotes.
    """
    if ACCESS_RATE in body or status == 429:
        raise AngelFailure(
            "Angel One refuses requests for now: too many a second", status=status, retry_after=1.0
        )
    response = _parse(body)
    if not isinstance(response, dict):
        hint = "; is ANGEL_ROOT_URL right?" if 300 <= status < 500 else ""
        raise AngelFailure(
            f"Angel One's response is not a JSON object (HTTP {status}){hint}",
            status=status,
            reason=_redact(body[:_MAX_MESSAGE].decode(errors="replace"), secrets),
        )
    succeeded = response.get("status") is True or response.get("success") is True
    if succeeded and 200 <= status < 300:
        return response
    code = _code_of(response)
    reason = _redact(str(response.get("message") or "no message"), secrets)
    raise AngelFailure(
        f"Angel One answered {code or f'HTTP {status}'}: {reason}",
        code=code,
        status=status,
        reason=reason,
    )


def _code_of(response: dict[str, Any]) -> str:
    """Return the code of a failure in capitals, '' without one."""
    for name, value in response.items():
        code = str(value).strip().upper()
        if name.lower() in _CODE_NAMES and _CODE.fullmatch(code):
            return code
    return ""


def _parse(body: bytes) -> Any:
    try:
        # NaN and Infinity are neither JSON nor prices.
        return json.loads(body, parse_float=Decimal, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def _redact(text: str, secrets: Collection[str]) -> str:
    """Return `text` as one short line without secrets."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = re.sub(re.escape(secret), "[secret]", text, flags=re.IGNORECASE)
    line = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(line.split())[:_MAX_MESSAGE]
