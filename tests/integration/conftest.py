"""An application whose context is open, for tests that go through models and services."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from pymongo import MongoClient
from pymongo.database import Database

from app.database import Document, database


@pytest.fixture
def books(app: Flask) -> Iterator[Flask]:
    """The application, within its context."""
    with app.app_context():
        yield app


@pytest.fixture
def raw(app: Flask, mongo_uri: str) -> Iterator[Database[Document]]:
    """The same database through a client that knows nothing of our codec."""
    client: MongoClient[Document] = MongoClient(mongo_uri)
    yield client[database().name]
    client.close()
