"""Questions to the process that polls: a newer quote, or the candles of a chart.

They go through Redis: each polling process receives every question, and the one that polls the
symbol answers. Quotes are answered in the database (see shared_quotes.py), candles in Redis.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import redis

from app.domain.candle import Candle, Interval
from app.domain.errors import InvalidRequest, MarketDataUnavailable
from app.domain.quote import Source

CHANNEL = "paper_trading.questions"
QUOTES, HISTORY = "quotes", "history"
# Longer than a price source may take.
QUOTES_SECONDS, HISTORY_SECONDS = 2, 15
# Longer than a question waits for its answer.
ANSWER_LIFETIME_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Question:
    """`id` names the answer; without it none is expected."""

    kind: str
    symbols: Sequence[str]
    id: str | None = None
    interval: str = ""
    since: str | None = None
    until: str | None = None

    @classmethod
    def parse(cls, text: str) -> Question:
        """Return the question of a message; raise ValueError or TypeError for any other."""
        return cls(**json.loads(text))

    def format(self) -> str:
        """Return the message of the question."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})


class Leader:
    """Asks the polling processes."""

    def __init__(self, redis_url: str) -> None:
        # Slower than any answer, so that a Redis that hangs holds up a request no longer.
        self._redis = redis.Redis.from_url(
            redis_url,
            decode_responses=True,
            socket_timeout=HISTORY_SECONDS + 1,
            socket_connect_timeout=QUOTES_SECONDS,
        )

    def request_quotes(self, symbols: Collection[str]) -> None:
        """Have newer quotes stored, without waiting."""
        try:
            self._redis.publish(CHANNEL, Question(QUOTES, list(symbols)).format())
        except redis.RedisError:
            # The polling process finds the symbols among those that this process follows.
            return

    def ask_quotes(self, symbols: Collection[str]) -> bool:
        """Have newer quotes stored, and wait for that; return whether any process was asked."""
        question = Question(QUOTES, list(symbols), uuid4().hex)
        missing = set(symbols)
        deadline = time.monotonic() + QUOTES_SECONDS
        try:
            if not self._ask(question):
                return False
            # Several processes may poll, each a share of the symbols.
            while missing and (left := deadline - time.monotonic()) > 0:
                if answer := self._wait(question, left):
                    missing.difference_update(json.loads(answer))
        except redis.RedisError:
            return False
        return True

    def ask_history(
        self, symbol: str, interval: Interval, since: datetime | None, until: datetime | None
    ) -> tuple[Candle, ...]:
        """Return the candles that the polling process has.

        Raises InvalidRequest as it does, and MarketDataUnavailable if it does not answer.
        """
        question = Question(
            HISTORY,
            [symbol],
            uuid4().hex,
            interval.value,
            since.isoformat() if since else None,
            until.isoformat() if until else None,
        )
        try:
            answer = self._wait(question, HISTORY_SECONDS) if self._ask(question) else None
        except redis.RedisError:
            answer = None
        if answer is None:
            raise MarketDataUnavailable(
                f"The history of {symbol} cannot be fetched right now. Try again in a minute."
            )
        return parse_history(symbol, answer)

    def _ask(self, question: Question) -> int:
        """Return how many processes received the question."""
        return int(self._redis.publish(CHANNEL, question.format()))

    def _wait(self, question: Question, seconds: float) -> str | None:
        answer: Any = self._redis.blpop([answer_key(question)], timeout=seconds)
        return str(answer[1]) if answer else None


def answer_key(question: Question) -> str:
    """Return the list in Redis that gets the answer to a question."""
    return f"paper_trading.answer.{question.id}"


def format_history(candles: Sequence[Candle]) -> str:
    """Return the answer with these candles."""
    rows = [
        [candle.time.isoformat(), *map(str, _prices(candle)), candle.source.value, candle.volume]
        for candle in candles
    ]
    return json.dumps({"candles": rows})


def format_refusal(error: InvalidRequest | MarketDataUnavailable) -> str:
    """Return the answer with an error."""
    is_invalid = isinstance(error, InvalidRequest)
    refusal = {"message": error.message, "code": error.code, "details": error.details}
    return json.dumps({"refusal": refusal, "is_invalid": is_invalid})


def parse_history(symbol: str, answer: str) -> tuple[Candle, ...]:
    """Return the candles of an answer, or raise its error."""
    content = json.loads(answer)
    if refusal := content.get("refusal"):
        error = InvalidRequest if content["is_invalid"] else MarketDataUnavailable
        raise error(refusal["message"], code=refusal["code"], details=refusal["details"])
    return tuple(_candle(symbol, row) for row in content["candles"])


def _candle(symbol: str, row: Sequence[Any]) -> Candle:
    begin, *prices, source, volume = row
    open, high, low, close = map(Decimal, prices)
    time = datetime.fromisoformat(begin)
    return Candle(symbol, time, open, high, low, close, Source(source), volume=volume)


def _prices(candle: Candle) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    return candle.open, candle.high, candle.low, candle.close
