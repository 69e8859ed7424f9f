"""Reads that take longer than a read usually may."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from pymongo import _csot
from pymongo.errors import AutoReconnect, ExecutionTimeout, PyMongoError

from app.database import database
from app.database.patience import LONG_READ_SECONDS, read_patiently
from app.extensions import mongo

pytestmark = pytest.mark.usefixtures("books")


def failing_once(error: PyMongoError, seconds: list[float | None]) -> Callable[[], int]:
    """Return a read that fails at first, and notes how long it may take."""

    def read() -> int:
        seconds.append(_csot.get_timeout())
        if len(seconds) == 1:
            raise error
        return database().command("ping")["ok"]

    return read


def test_a_read_that_takes_too_long_is_given_more_time() -> None:
    seconds: list[float | None] = []

    assert read_patiently(failing_once(ExecutionTimeout("slow"), seconds)) == 1

    assert seconds == [None, LONG_READ_SECONDS]


def test_a_read_that_fails_otherwise_is_not_repeated() -> None:
    seconds: list[float | None] = []

    with pytest.raises(AutoReconnect):
        read_patiently(failing_once(AutoReconnect("gone"), seconds))

    assert seconds == [None]


def test_a_database_that_does_not_answer_is_not_waited_for(
    books: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds: list[float | None] = []

    def stay_silent(*_: object, **__: object) -> None:
        raise ExecutionTimeout("no answer")

    monkeypatch.setattr(mongo.db, "command", stay_silent)

    with pytest.raises(ExecutionTimeout, match="no answer"):
        read_patiently(failing_once(ExecutionTimeout("slow"), seconds))

    assert seconds == [None]
