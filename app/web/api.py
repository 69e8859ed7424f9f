"""The shape of every route: who may call it, what it takes, what it answers.

`endpoint` checks the caller and the body, and describes the route in OpenAPI. Only this module
knows of spectree, which writes the document; pydantic does the validation.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any, NoReturn, TypeVar

from flask import Blueprint, Flask, Response, current_app, request
from pydantic import BaseModel, Field, ValidationError
from spectree import Response as Answers
from spectree import SecurityScheme, SecuritySchemeData, SpecTree
from spectree.models import SecureType
from werkzeug.exceptions import UnsupportedMediaType

from app.domain.errors import InvalidFields, InvalidRequest
from app.domain.suggestions import did_you_mean
from app.models import IdempotencyKey
from app.web.auth import current_user_id, require_own
from app.web.schemas import MAXIMUM_BODY_BYTES

VERSION = "1.0.0"

Model = TypeVar("Model", bound=BaseModel)
View = Callable[..., Any]


class ErrorBody(BaseModel):
    """The body of every error."""

    error: str
    code: str
    details: dict[str, Any]
    request_id: str


class IdempotencyHeaders(BaseModel):
    """Send the same key with a retry, and it is answered as the first request was."""

    idempotency_key: str | None = Field(
        None, alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"
    )


spec = SpecTree(
    "flask",
    title="Paper Trading API",
    version=VERSION,
    description="Trade Indian indices and shares with virtual money at live prices.",
    mode="strict",
    annotations=False,
    validation_error_status=400,
    validation_error_model=ErrorBody,
    naming_strategy=lambda model: model.__name__,
    nested_naming_strategy=lambda _parent, child: child,
    security_schemes=[
        SecurityScheme(
            name="bearer",
            data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer", bearer_format="JWT"),
        )
    ],
)

documentation = Blueprint("documentation", __name__)


def init_app(app: Flask) -> None:
    """Serve /openapi.json."""
    app.config["MAX_CONTENT_LENGTH"] = MAXIMUM_BODY_BYTES
    app.register_blueprint(documentation)


@documentation.get("/openapi.json")
def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of this API."""
    # Made once per application, on the first request: every blueprint is registered by then.
    spec.app = current_app
    document: dict[str, Any] = spec.spec
    for methods in document["paths"].values():
        for operation in methods.values():
            _refine(operation, document["components"]["schemas"])
    return document


# What spectree cannot know of the parts of an address.
PATH_PARAMETERS = {
    "user_id": {"description": "The client_id of the token's own user; any other is a 403."},
    "trade_id": {"schema": {"type": "string", "pattern": "^[0-9a-f]{24}$"}},
    "alert_id": {"schema": {"type": "string", "pattern": "^[0-9a-f]{24}$"}},
    "token": {"description": "The last part of the link in an email."},
    "notification_id": {"schema": {"type": "string", "pattern": "^[0-9a-f]{24}$"}},
    "symbol": {"description": "A symbol or alias in any case; an unknown one is a 404."},
}


def _refine(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """Say more exactly than spectree does what a request may leave out and what it may hold."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            parameter.update(PATH_PARAMETERS[parameter["name"]])
        # A parameter is left out or has a value: an address and a header have no null.
        schema = parameter["schema"]
        alternatives = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
        if len(alternatives) == 1:
            parameter["schema"] = alternatives[0]
        elif alternatives:
            schema["anyOf"] = alternatives
    for content in operation.get("requestBody", {}).get("content", {}).values():
        model = schemas[content["schema"]["$ref"].rpartition("/")[2]]
        operation["requestBody"]["required"] = bool(model.get("required"))


def endpoint(
    *,
    answers: Mapping[int, type[BaseModel]],
    errors: Iterable[int] = (),
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    public: bool = False,
    idempotent: bool = False,
) -> Callable[[View], View]:
    """Declare a route: the models of its answers by status, its errors, its input.

    The view is called with `body` and `query` as models where they are declared, after the
    caller was found to be signed in and, where the path has a `user_id`, to be that user. It
    returns a model, or a model and a status. An `idempotent` view is also called with `key`,
    which names the request where it has an Idempotency-Key.
    """
    statuses = {400, 429, 500, 503, *errors} | (set() if public else {401})
    statuses |= {409} if idempotent else set()

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def call(**arguments: Any) -> Response:
            if not public:
                current_user_id()
                if "user_id" in arguments:
                    # However the path spells it, the view gets the caller's own client_id.
                    arguments["user_id"] = require_own(arguments["user_id"])
            if query is not None:
                arguments["query"] = _validated(query, request.args.to_dict())
            if body is not None:
                arguments["body"] = _validated(body, _json_object())
            if idempotent:
                arguments["key"] = _request_key(arguments.get("body"))
            return _answer(view(**arguments))

        call.__dict__["requires_token"] = not public
        # spectree reads its notes off the functions that `__wrapped__` leads to.
        call.__wrapped__ = spec.validate(
            json=body,
            query=query,
            headers=IdempotencyHeaders if idempotent else None,
            resp=_documented(answers, statuses | ({413, 415} if body else set())),
            security=None if public else {"bearer": []},
            tags=[view.__module__.split(".")[1]],
            operation_id=view.__name__,
            skip_validation=True,
        )(view)
        return call

    return decorate


def _documented(answers: Mapping[int, type[BaseModel]], errors: Iterable[int]) -> Answers:
    models = {**dict.fromkeys(sorted(errors), ErrorBody), **answers}
    return Answers(**{f"HTTP_{status}": model for status, model in models.items()})


def _answer(result: Any) -> Response:
    model, status = result if isinstance(result, tuple) else (result, 200)
    return Response(model.model_dump_json(), status, mimetype="application/json")


def _json_object() -> dict[str, Any]:
    """Return the body as a JSON object, {} where there is none; fractions are Decimal."""
    text = request.get_data(cache=False)
    if not text.strip():
        return {}
    if not request.is_json:
        raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")
    try:
        parsed = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, ArithmeticError, RecursionError):
        raise InvalidRequest("The body is not valid JSON.", code="malformed_json") from None
    if not isinstance(parsed, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return parsed


def _request_key(body: BaseModel | None) -> IdempotencyKey | None:
    headers = _validated(
        IdempotencyHeaders, {"Idempotency-Key": request.headers.get("Idempotency-Key")}
    )
    if headers.idempotency_key is None:
        return None
    own = current_user_id()
    # However the path spells the user, it is the same request.
    path = request.path.replace((request.view_args or {}).get("user_id") or own, own)
    content = f"{request.method} {path} {body.model_dump_json() if body else ''}"
    return IdempotencyKey(
        user_id=own,
        key=headers.idempotency_key,
        fingerprint=sha256(content.encode()).hexdigest(),
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _validated(model: type[Model], given: dict[str, Any]) -> Model:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise InvalidFields(_faults(error, model)) from None


def _faults(error: ValidationError, model: type[BaseModel]) -> dict[str, str]:
    """Return what is wrong with each field, in words."""
    faults: dict[str, str] = {}
    for each in error.errors(include_url=False, include_input=False):
        field = str(each["loc"][0]) if each["loc"] else "body"
        if each["type"] == "extra_forbidden":
            faults[field[:80]] = _unknown_field(field, model)
            continue
        message = each["msg"].removeprefix("Value error, ").removeprefix("Input ")
        faults.setdefault(field[:80], f"{message[:1].lower()}{message[1:]}")
    return faults


def _unknown_field(name: str, model: type[BaseModel]) -> str:
    known = [field.alias or own for own, field in model.model_fields.items()]
    if not known:
        return f"unknown field {name[:80]}; nothing is taken here"
    end = "" if (question := did_you_mean(name, known)) else "."
    return f"unknown field {name[:80]}{question or ''}{end} Known: {', '.join(known)}"
