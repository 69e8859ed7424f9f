"""The OpenAPI document at /openapi.json: what spectree collected, made exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Flask, current_app

from app.web.api import spec
from app.web.error_codes import ERROR_CODES, OF_WRITES, merge_codes
from app.web.schemas import MAXIMUM_BODY_BYTES

blueprint = Blueprint("openapi", __name__)

_OBJECT_ID = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
# What spectree cannot know of the parts of an address.
PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "user_id": {
        "description": "The `client_id` of the token's own user; any other is a 403.",
        "example": "asha@example.com",
    },
    "trade_id": {
        "description": "The id of one of the user's trades.",
        "schema": _OBJECT_ID,
        "example": "6744a1f0c2d5e8b7a9f01234",
    },
    "alert_id": {
        "description": "The id of one of the user's alerts.",
        "schema": _OBJECT_ID,
        "example": "6744a1f0c2d5e8b7a9f01235",
    },
    "notification_id": {
        "description": "The id of one of the user's notifications.",
        "schema": _OBJECT_ID,
        "example": "6744a1f0c2d5e8b7a9f01236",
    },
    "token": {
        "description": "The last part of the link in an email.",
        "example": "YXNoYUBleGFtcGxlLmNvbQ.c2lnbmF0dXJl",
    },
    "symbol": {
        "description": "A symbol or alias in any case; an unknown one is a 404.",
        "example": "NIFTY",
    },
}


def init_app(app: Flask) -> None:
    """Serve /openapi.json."""
    app.config["MAX_CONTENT_LENGTH"] = MAXIMUM_BODY_BYTES
    app.register_blueprint(blueprint)


@blueprint.get("/openapi.json")
def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of this API."""
    # spectree builds it on the first call, when every blueprint is registered.
    spec.app = current_app
    document: dict[str, Any] = spec.spec
    views = {name.rpartition(".")[2]: view for name, view in current_app.view_functions.items()}
    for schema in document["components"]["schemas"].values():
        for described in schema.get("properties", {}).values():
            # Only the name again, in capitals.
            described.pop("title", None)
    for methods in document["paths"].values():
        for method, operation in methods.items():
            _refine_input(operation, document["components"]["schemas"])
            codes = views[operation["operationId"]].__dict__["error_codes"]
            # An id that is not a part of an address leads to no route.
            no_route = {404: ["not_found"]} if 404 in codes else {}
            writes = {} if method == "get" else OF_WRITES
            _list_errors(operation, merge_codes(codes, no_route, writes))
    return document


def _refine_input(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """Make exact which parts of a request are required and which values they take."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            parameter.update(PATH_PARAMETERS[parameter["name"]])
        # A parameter is left out or has a value: an address and a header have no null.
        schema = parameter["schema"]
        alternatives = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
        if len(alternatives) == 1:
            parameter["schema"] = {"examples": schema.get("examples", []), **alternatives[0]}
        elif alternatives:
            schema["anyOf"] = alternatives
    for content in operation.get("requestBody", {}).get("content", {}).values():
        model = schemas[content["schema"]["$ref"].rpartition("/")[2]]
        operation["requestBody"]["required"] = bool(model.get("required"))


def _list_errors(operation: dict[str, Any], codes: Mapping[int, Sequence[str]]) -> None:
    for status, names in codes.items():
        response = operation["responses"][str(status)]
        schema = response["content"]["application/json"]["schema"]
        if schema["$ref"].endswith("/ErrorBody"):
            lines = [f"- `{name}`: {ERROR_CODES[name].meaning}" for name in names]
            response["description"] = "\n".join(lines)
            schema["properties"] = {"code": {"enum": names}}
