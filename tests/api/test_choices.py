"""What a request may choose from is what the documentation lists, and nothing else is accepted."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, get_args

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.domain.trade import TradeStatus
from tests.support.responses import assert_error
from tests.support.users import Trader


class Choice(NamedTuple):
    """A field of a request, and the values that the documentation lists."""

    where: str
    model: type[BaseModel]
    field: str
    documented: frozenset[str]
    is_list: bool

    def accepts(self, value: str) -> bool:
        """Return whether the field takes a value; what else the model lacks does not matter."""
        try:
            self.model.model_validate({self.field: [value] if self.is_list else value})
        except ValidationError as error:
            return not any(fault["loc"][:1] == (self.field,) for fault in error.errors())
        return True


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models of an annotation, and those of their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
    for part in get_args(annotation):
        yield from models_in(part)


def values_in(schema: Any) -> Iterator[str]:
    """Yield the values that a schema lists, without those of the objects in it."""
    if isinstance(schema, list):
        for part in schema:
            yield from values_in(part)
    if not isinstance(schema, dict) or schema.get("type") == "object":
        return
    yield from schema.get("enum", ())
    for name, part in schema.items():
        if name in ("anyOf", "items"):
            yield from values_in(part)


def resolved(schema: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema with its references replaced."""
    if isinstance(schema, list):
        return [resolved(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        return resolved(definitions[reference.rpartition("/")[2]], definitions)
    return {name: resolved(part, definitions) for name, part in schema.items() if name != "$defs"}


def choices_of(where: str, model: type[BaseModel]) -> Iterator[Choice]:
    for name, field in model.model_fields.items():
        annotated: Any = field.annotation
        if field.metadata:
            annotated = Annotated[annotated, *field.metadata]
        full = TypeAdapter(annotated).json_schema()
        schema = resolved(full, full.get("$defs", {}))
        if documented := frozenset(values_in(schema)):
            parts = [schema, *schema.get("anyOf", ())]
            is_list = any(part.get("type") == "array" for part in parts)
            yield Choice(f"{where}: {name}", model, name, documented, is_list)


@pytest.fixture
def choices(app: Flask) -> list[Choice]:
    """Every field of a query or a body, of every route, that has a list of values."""
    found: list[Choice] = []
    for view in app.view_functions.values():
        if declaration := getattr(view, "declaration", None):
            for model in (declaration.query, declaration.body):
                for each in set(models_in(model)):
                    found += choices_of(f"{view.__name__}, {each.__name__}", each)
    return found


def every_value() -> set[str]:
    """Return the values of every enumeration of the application."""
    kinds = [kind for kind in StrEnum.__subclasses__() if kind.__module__.startswith("app.")]
    return {member.value for kind in kinds for member in kind}


def test_every_choice_takes_what_is_documented_and_nothing_else(choices: list[Choice]) -> None:
    assert len({each.model for each in choices}) > 10
    problems = []
    for each in choices:
        spellings = {value.casefold() for value in each.documented}
        others = {value for value in every_value() if value.casefold() not in spellings}
        problems += [(each.where, value) for value in others if each.accepts(value)]
        problems += [(each.where, value) for value in each.documented if not each.accepts(value)]

    assert problems == []


def test_trades_can_be_listed_by_every_status(client: FlaskClient, alice: Trader) -> None:
    document = client.get("/openapi.json").get_json()
    for path in ("/trades/{user_id}", "/trades/{user_id}/export.csv"):
        parameters = document["paths"][path]["get"]["parameters"]
        (schema,) = [each["schema"] for each in parameters if each["name"] == "status"]
        listed = resolved(schema, document["components"]["schemas"])
        assert set(values_in(listed)) == {status.value for status in TradeStatus}
    for status in TradeStatus:
        answer = alice.get(f"/trades/{alice.client_id}?status={status.value}")
        assert (answer.status_code, answer.get_json()["trades"]) == (200, [])
    answer = alice.get(f"/trades/{alice.client_id}?status=OPEN")
    assert "status" in assert_error(answer, 400, "validation_error")
