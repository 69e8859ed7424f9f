"""The reference in docs/api.md and docs/events.md is what `make docs` writes."""

from __future__ import annotations

from flask import Flask

from app.realtime.asyncapi import make_document, make_schemas
from app.web.openapi import openapi
from docs.generate import DOCS, HOST, MARK, api_reference, events_reference

ADVICE = "run `make docs`"


def test_the_reference_of_the_rest_api_is_that_of_the_code(app: Flask) -> None:
    with app.app_context():
        assert _reference("api.md") == api_reference(openapi()), ADVICE


def test_the_reference_of_the_sockets_is_that_of_the_code() -> None:
    assert _reference("events.md") == events_reference(make_document(HOST, make_schemas())), ADVICE


def _reference(page: str) -> str:
    return (DOCS / page).read_text().partition(MARK)[2]
