"""Fixtures of the API tests."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.web.auth import issue_token
from tests.support.users import Trader, sign_up


@pytest.fixture
def carol(client: FlaskClient) -> Trader:
    """Someone who is registered and has no portfolio yet."""
    return sign_up(client)


@pytest.fixture
def deleted_user(app: Flask, client: FlaskClient) -> Trader:
    """Someone with a good token whose account is gone."""
    with app.app_context():
        return Trader(client, "deleted", issue_token("deleted"))
