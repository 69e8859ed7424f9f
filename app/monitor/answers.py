"""Answers the questions of processes that do not poll (app/market_data/leader.py)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import redis
from flask import Flask
from pymongo.errors import PyMongoError

from app.concurrency import BackgroundPool
from app.domain.candle import Interval
from app.domain.errors import InvalidRequest, MarketDataUnavailable
from app.extensions import socketio
from app.logs import logger
from app.market_data.leader import (
    ANSWER_LIFETIME_SECONDS,
    CHANNEL,
    QUOTES,
    Question,
    answer_key,
    format_history,
    format_refusal,
)
from app.models import SymbolState
from app.monitor.sharing import Sharing
from app.services import now, services

RECONNECT_SECONDS = 2
# Questions answered at the same time: each may wait for a price source.
MAX_ANSWERS = 16


class Answers:
    def __init__(self, app: Flask, redis_url: str, sharing: Sharing) -> None:
        self._app = app
        self._sharing = sharing
        self._redis = redis.Redis.from_url(redis_url, decode_responses=True)
        self._pool = BackgroundPool(MAX_ANSWERS)

    def start(self) -> None:
        """Listen in the background until the process ends."""
        socketio.start_background_task(self._listen)

    def _listen(self) -> None:
        while True:
            try:
                # redis-py has no types for this method.
                with self._redis.pubsub(  # type: ignore[no-untyped-call]
                    ignore_subscribe_messages=True
                ) as channel:
                    channel.subscribe(CHANNEL)
                    for message in channel.listen():
                        self._pool.submit(self.receive, message)
            except redis.RedisError:
                # The relay logs the outage.
                socketio.sleep(RECONNECT_SECONDS)

    def receive(self, message: Mapping[str, Any]) -> None:
        """Answer one message, unless another process polls its symbols."""
        try:
            question = Question.parse(message["data"])
            with self._app.app_context():
                is_quotes = question.kind == QUOTES
                answer = self._quotes(question) if is_quotes else _history(question)
            if answer and question.id:
                key = answer_key(question)
                self._redis.rpush(key, answer)
                self._redis.expire(key, ANSWER_LIFETIME_SECONDS)
        except (PyMongoError, redis.RedisError) as error:
            logger.warning("a question was not answered: %s", type(error).__name__)
        except Exception:
            # An error with one question must not end the answers to all others.
            logger.exception("a question could not be answered: %s", message["data"])

    def _quotes(self, question: Question) -> str | None:
        """Store the quotes at which this process would trade; return the symbols it polls."""
        quotes = services().quotes
        symbols = [symbol for symbol in question.symbols if quotes.is_polled(symbol)]
        if not symbols:
            return None
        # Before the quotes are fetched, so that each later tick is shared as well.
        self._sharing.begin()
        SymbolState.share((), quotes.confirmed(symbols).values(), now())
        return json.dumps(symbols)


def _history(question: Question) -> str | None:
    (symbol,) = question.symbols
    if not services().quotes.is_polled(symbol):
        return None
    since, until = (
        datetime.fromisoformat(end) if end else None for end in (question.since, question.until)
    )
    try:
        return format_history(
            services().history.candles(symbol, Interval(question.interval), since, until)
        )
    except (InvalidRequest, MarketDataUnavailable) as error:
        return format_refusal(error)
