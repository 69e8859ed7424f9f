"""What an answer of SmartAPI means: three shapes of failure, told apart by their codes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from app.market_data.source import SourceUnavailable

# https://smartapi.angelbroking.com/docs/Exceptions, and what the servers answer.
SESSION_OVER = frozenset({"AG8001", "AG8002", "AG8003", "AB1010", "AB1011", "AB8050", "AB8051"})
TRY_LATER = frozenset({"AB1004", "AB2000", "AB2001"})
WRONG_CODE = "AB1050"

ACCESS_RATE = b"exceeding access rate"
_CODE = re.compile(r"[A-Z]{2}\d{2,6}")
_LONGEST_MESSAGE = 200


class AngelFailure(SourceUnavailable):
    """Angel One answered, and what it said is no."""

    def __init__(
        self, message: str, *, code: str = "", status: int = 200, retry_after: float | None = None
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.code = code
        self.status = status

    @property
    def is_session_over(self) -> bool:
        return self.code in SESSION_OVER or (self.status == 401 and not self.code)


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
            f"Angel One answered no JSON object (HTTP {status}){hint}", status=status
        )
    succeeded = answer.get("status") is True or answer.get("success") is True
    if succeeded and 200 <= status < 300:
        return answer
    code = str(answer.get("errorcode") or answer.get("errorCode") or "")
    code = code if _CODE.fullmatch(code) else ""
    said = _redacted(str(answer.get("message") or "nothing more"), secrets)
    raise AngelFailure(
        f"Angel One answered {code or f'HTTP {status}'}: {said}", code=code, status=status
    )


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
    return " ".join(line.split())[:_LONGEST_MESSAGE]
