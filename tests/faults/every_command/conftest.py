"""Fixtures: a database server whose commands fail, and an empty database for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.support.faults import FaultyDatabase

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyDatabase]:
    database = FaultyDatabase(tmp_path_factory.mktemp("faulty"))
    yield database
    database.stop()


@pytest.fixture
def mongo_uri(faulty: FaultyDatabase) -> str:
    base, _, options = faulty.uri.partition("?")
    return f"{base}sweep_{next(_numbers)}?{options}&heartbeatFrequencyMS=500"
