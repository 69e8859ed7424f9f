"""What an answer of SmartAPI means: three shapes of failure, told apart by their codes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from app.market_data.providers.base import SourceUnavailable

# https://smartapi.angelbroking.com/docs/Exceptions, and what the servers answer.
SESSION_OVER = frozenset({"AG8001", "AG8002", "AG8003", "AB1010", "AB1011", "AB8050", "AB8051"})
TRY_LATER = frozenset({"AB1004", "AB2000", "AB2001"})
WRONG_CODE = "AB1050"

ACCESS_RATE = b"exceeding access rate"
_CODE = re.compile(r"[A-Z]{2}\d{2,6}")
# Its servers spell the name of the field that holds the code in each of these ways.
_CODE_NAMES = frozenset({"errorcode", "error_code", "code"})
# What is said of a session without a code. An instrument has a token as well: that is another.
_OVER = re.compile(
    r"(invalid|expired|missing)\W+(\w+\W+)?(token|session|jwt)"
    r"|(token|session|jwt)\W+(\w+\W+){0,2}(invalid|expired|over|missing)",
    re.IGNORECASE,
)
_OTHER_TOKENS = re.compile(r"symbol|scrip|exchange|totp", re.IGNORECASE)
# What an account hears that has not got the route.
NOT_SUBSCRIBED = "AB9999"
_REFUSED = re.compile(
    r"subscri|entitle|permission|not (allowed|enabled|authori[sz]ed|permitted)", re.IGNORECASE
)
_MAX_MESSAGE = 200


class AngelFailure(SourceUnavailable):
    """Angel One answered, and what it said is no."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int = 200,
        said: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Hold the vendor's `code` in capitals, and what it `said`, neither with a secret."""
        super().__init__(message, retry_after=retry_after)
        self.code = code
        self.status = status
        self._said = said

    @property
    def is_session_over(self) -> bool:
        """Whether another sign-in helps: by its code or, where it has none, in words."""
        if self.code:
            return self.code in SESSION_OVER
        in_words = _OVER.search(self._said) and not _OTHER_TOKENS.search(self._said)
        return self.status == 401 or bool(in_words)

    @property
    def is_refusal(self) -> bool:
        """Whether this account has not got what it asked for, and will not get it today."""
        if self.is_session_over or self.retry_after is not None or self.code in TRY_LATER:
            return False
        in_words = _REFUSED.search(self._said)
        return self.status == 403 or self.code == NOT_SUBSCRIBED or bool(in_words)


def read_answer(status: int, body: bytes, secrets: Collection[str]) -> dict[str, Any]:
    """Return the JSON object of a success, its numbers as Decimal; raise AngelFailure.

    None of `secrets` is in the failure's message, whatever the answer quotes.
    """
    if ACCESS_RATE in body or status == 429:
        raise AngelFailure(
            "Angel One refuses requests for now: too many a second", status=status, retry_after=1.0
        )
    answer = _parse(body)
    if not isinstance(answer, dict):
        hint = "; is ANGEL_ROOT_URL right?" if 300 <= status < 500 else ""
        raise AngelFailure(
            f"Angel One answered no JSON object (HTTP {status}){hint}",
            status=status,
            said=_redacted(body[:_MAX_MESSAGE].decode(errors="replace"), secrets),
        )
    succeeded = answer.get("status") is True or answer.get("success") is True
    if succeeded and 200 <= status < 300:
        return answer
    code = _code_of(answer)
    said = _redacted(str(answer.get("message") or "nothing more"), secrets)
    raise AngelFailure(
        f"Angel One answered {code or f'HTTP {status}'}: {said}",
        code=code,
        status=status,
        said=said,
    )


def _code_of(answer: dict[str, Any]) -> str:
    """Return the code of a failure in capitals, '' where it has none."""
    for name, value in answer.items():
        code = str(value).strip().upper()
        if name.lower() in _CODE_NAMES and _CODE.fullmatch(code):
            return code
    return ""


def _parse(body: bytes) -> Any:
    try:
        # NaN and Infinity are no prices, nor JSON.
        return json.loads(body, parse_float=Decimal, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def _redacted(text: str, secrets: Collection[str]) -> str:
    """Return a line of `text` that holds no secret."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = re.sub(re.escape(secret), "[secret]", text, flags=re.IGNORECASE)
    line = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(line.split())[:_MAX_MESSAGE]
