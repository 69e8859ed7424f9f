"""The OpenAPI document: what spectree makes of the declarations, made exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from flask import current_app
from spectree import Response, SecurityScheme, SecuritySchemeData, SpecTree
from spectree.metadata import FunctionDecorator
from spectree.models import InType, SecureType

from app.web import key_auth
from app.web.api import JSON, Declaration, ErrorBody, IdempotencyHeaders, View
from app.web.error_codes import ERROR_CODES, OF_WRITES, merge_codes
from app.web.openapi import VERSION
from app.web.principal import Scope
from app.webhooks.description import describe_webhooks

_OBJECT_ID = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
# What spectree cannot know of the parts of an address.
PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "user_id": {
        "description": "The `client_id` of the token's own user; any other is a 403.",
        "example": "asha@example.com",
    },
    "key_id": {
        "description": "The id of one of the user's API keys.",
        "schema": _OBJECT_ID,
        "example": "6744a1f0c2d5e8b7a9f01237",
    },
    "trade_id": {
        "description": "The id of one of the user's trades.",
        "schema": _OBJECT_ID,
        "example": "6744a1f0c2d5e8b7a9f01234",
    },
    "watchlist_id": {
        "description": "The id of one of the user's watchlists.",
        "schema": _OBJECT_ID,
        "example": "6744a1f0c2d5e8b7a9f01240",
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
    "session_id": {
        "description": "The id of one of the user's sessions.",
        "example": "9f1c2b7d0e4a6c8f9f1c2b7d0e4a6c8f",
    },
    "webhook_id": {
        "description": "The id of one of the user's webhooks.",
        "schema": _OBJECT_ID,
        "example": "6744a1f0c2d5e8b7a9f01238",
    },
    "delivery_id": {
        "description": "The id of a delivery of the webhook.",
        "schema": _OBJECT_ID,
        "example": "6744a1f0c2d5e8b7a9f01239",
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


class _Description(SpecTree):
    """A description of views, which are left as they are: applications share them."""

    def __init__(self, views: Iterable[View]) -> None:
        super().__init__(
            "flask",
            title="Paper Trading API",
            version=VERSION,
            description="Trade Indian indices and shares with virtual money. "
            "[/asyncapi.json](/asyncapi.json) describes the Socket.IO events (AsyncAPI 3).",
            mode="strict",
            annotations=False,
            validation_error_status=400,
            validation_error_model=ErrorBody,
            naming_strategy=lambda model: model.__name__,
            nested_naming_strategy=lambda _parent, child: child,
            security_schemes=[
                SecurityScheme(
                    name="bearer",
                    data=SecuritySchemeData(
                        type=SecureType.HTTP, scheme="bearer", bearer_format="JWT"
                    ),
                ),
                SecurityScheme(
                    name="api_key",
                    data=SecuritySchemeData(
                        type=SecureType.API_KEY,
                        name=key_auth.HEADER,
                        field_in=InType.HEADER,
                        description="A key of POST /auth/api-keys, for bots. Each route names the "
                        "scope it needs; a route without `api_key` is for people only.",
                    ),
                ),
            ],
        )
        self._described = {view: self._describe(view) for view in views}

    def get_function_metadata(self, func: View) -> FunctionDecorator | None:
        """Return what is known of a view, None if it declares nothing."""
        return super().get_function_metadata(self._described.get(func, func))

    def _describe(self, view: View) -> View:
        route = _declaration(view)
        models = {**dict.fromkeys(sorted(route.codes), ErrorBody), **route.responses}
        described: View = self.validate(
            json=route.body,
            query=route.query,
            headers=IdempotencyHeaders if route.idempotent else None,
            resp=Response(**{f"HTTP_{status}": model for status, model in models.items()}),
            security=None if route.public else {"bearer": []},
            tags=[_tag(view)],
            operation_id=view.__name__,
            skip_validation=True,
        )(view)
        return described


def make_document() -> dict[str, Any]:
    """Make the document of the current application."""
    views = {
        view.__name__: view
        for view in current_app.view_functions.values()
        if hasattr(view, "declaration")
    }
    document: dict[str, Any] = _Description(views.values()).spec
    for schema in document["components"]["schemas"].values():
        for described in schema.get("properties", {}).values():
            # Only the name again, in capitals.
            described.pop("title", None)
    for methods in document["paths"].values():
        for method, operation in methods.items():
            _refine_input(operation, document["components"]["schemas"])
            route = _declaration(views[operation["operationId"]])
            codes = route.codes
            scope = route.required_scope(method.upper())
            if not route.public and scope is not Scope.ACCOUNT:
                operation["security"].append({"api_key": [scope.value]})
            # An id that is not a part of an address leads to no route.
            no_route = {404: ["not_found"]} if 404 in codes else {}
            writes = {} if method == "get" or scope is Scope.READ else OF_WRITES
            _list_errors(operation, merge_codes(codes, no_route, writes))
            _name_media_type(operation, route)
    document["webhooks"] = describe_webhooks()
    return document


def _tag(view: View) -> str:
    """Return the package of a view's routes, or its module."""
    *_, package, module = view.__module__.split(".")
    return package if module.endswith("routes") else module


def _declaration(view: View) -> Declaration:
    return cast(Declaration, view.__dict__["declaration"])


def _refine_input(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """Make exact which parts of a request are required and which values they take."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            parameter.update(PATH_PARAMETERS[parameter["name"]])
        # A parameter is left out or has a value: an address and a header have no null.
        schema = parameter["schema"]
        alternatives = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
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
        schema = response["content"][JSON]["schema"]
        if schema["$ref"].endswith("/ErrorBody"):
            lines = [f"- `{name}`: {ERROR_CODES[name].meaning}" for name in names]
            response["description"] = "\n".join(lines)
            schema["properties"] = {"code": {"enum": names}}


def _name_media_type(operation: dict[str, Any], route: Declaration) -> None:
    """Give the successes of a route the media type that it produces."""
    for status in route.responses:
        content = operation["responses"][str(status)]["content"]
        content[route.produces] = content.pop(JSON)
