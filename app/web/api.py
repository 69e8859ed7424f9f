"""What all routes share: authentication, validation of the input, and the response.

`endpoint` checks the caller and the input, and keeps the declaration of the route on its view,
where `openapi` finds it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any, NoReturn, TypeVar

from flask import Response, request
from pydantic import BaseModel, Field, ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from app.database import during_elections
from app.domain.errors import InvalidFields, InvalidRequest
from app.domain.suggestions import did_you_mean
from app.models import IdempotencyKey
from app.web.auth import current_principal, require_own
from app.web.error_codes import ANY_ROUTE, WITH_BODY, WITH_INPUT, WITH_KEY, WITH_TOKEN, merge_codes
from app.web.principal import READ_METHODS, Scope

JSON = "application/json"
Model = TypeVar("Model", bound=BaseModel)
View = Callable[..., Any]


class ErrorBody(BaseModel):
    """The body of every error. The responses of each route list its codes."""

    error: str = Field(
        description="One sentence for a person.",
        examples=["The market is closed. It opens on Monday, 30 November 2026 at 09:15 IST."],
    )
    code: str = Field(
        description="The kind of error, for a program. A released code never changes.",
        examples=["market_closed"],
    )
    details: dict[str, Any] = Field(
        description="What the code documents, by name; of invalid input each field and its fault.",
        examples=[{"next_open": "2026-11-30T03:45:00.000Z"}],
    )
    request_id: str = Field(
        description="The id of the request, as in the X-Request-ID header and the log.",
        examples=["6f1c1a6e0c6a4b0f8a7d5d3a0b9c2e11"],
    )


class IdempotencyHeaders(BaseModel):
    """A retry with the same key gets the response of the first request."""

    idempotency_key: str | None = Field(
        default=None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text that names this request: a retry with the same key is executed "
        "once and gets the first response. Keys expire after 7 days.",
        examples=["b1a7e6a2-5f0e-4c2b-9a37-0d8c3f1c5e21"],
    )


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a route takes and returns. `errors` are its own error codes by status.

    `produces` is the media type of a success; errors are always JSON.
    """

    responses: Mapping[int, type[BaseModel]]
    errors: Mapping[int, Sequence[str]]
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    public: bool
    idempotent: bool
    scope: Scope | None
    produces: str

    @property
    def codes(self) -> dict[int, list[str]]:
        """Every error code that the route may return, by status."""
        has_input = self.body or self.query or self.idempotent
        return merge_codes(
            ANY_ROUTE,
            self.errors,
            {} if self.public else WITH_TOKEN,
            WITH_INPUT if has_input else {},
            WITH_BODY if self.body else {},
            WITH_KEY if self.idempotent else {},
        )

    def required_scope(self, method: str) -> Scope:
        """Return the scope that a caller needs: by default `read` to read and `trade` to write."""
        return self.scope or (Scope.READ if method in READ_METHODS else Scope.TRADE)


def endpoint(
    *,
    responses: Mapping[int, type[BaseModel]],
    errors: Mapping[int, Sequence[str]] | None = None,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    public: bool = False,
    idempotent: bool = False,
    scope: Scope | None = None,
    produces: str = JSON,
) -> Callable[[View], View]:
    """Declare a route: its response models by status, its own error codes, its input.

    The caller must be signed in, unless the route is `public`, have the `scope`, and be the
    `user_id` in the path, if it has one. The view receives `body` and `query` as models. It
    returns a model, a model and a status, or a stream of what it `produces`. An `idempotent` view
    also receives `key`: the IdempotencyKey of the request, or None.
    """
    declaration = Declaration(
        responses, errors or {}, body, query, public, idempotent, scope, produces
    )

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def call(**path: Any) -> Response:
            # A client repeats a request with a key until it succeeds, and may as well wait.
            is_keyed = idempotent and "Idempotency-Key" in request.headers
            with during_elections() if is_keyed else nullcontext():
                result = view(**_read_request(declaration, path))
            return _response(result)

        call.__dict__.update(
            declaration=declaration, requires_token=not public, is_read=scope is Scope.READ
        )
        return call

    return decorate


def _response(result: Any) -> Response:
    """Return the response of what a view returns."""
    if isinstance(result, Response):
        # A stream.
        return result
    model, status = result if isinstance(result, tuple) else (result, 200)
    return Response(model.model_dump_json(), status, mimetype=JSON)


def _read_request(declaration: Declaration, path: Mapping[str, Any]) -> dict[str, Any]:
    """Check the caller and the input; return the arguments of the view."""
    arguments = dict(path)
    if not declaration.public:
        current_principal().require(declaration.required_scope(request.method))
        if "user_id" in path:
            # The path may spell it differently; the view gets the caller's client_id.
            arguments["user_id"] = require_own(path["user_id"])
    if declaration.query is not None:
        arguments["query"] = _validated(declaration.query, _query())
    if declaration.body is not None:
        arguments["body"] = _validated(declaration.body, _json_object())
    if declaration.idempotent:
        key = request.headers.get("Idempotency-Key")
        arguments["key"] = _idempotency_key(key, arguments.get("body")) if key is not None else None
    return arguments


def _query() -> dict[str, str]:
    """Return the query; a parameter that is given twice has no meaning that is certain."""
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        raise InvalidFields(dict.fromkeys((name[:80] for name in repeated), "is given twice"))
    return request.args.to_dict()


def _json_object() -> dict[str, Any]:
    """Return the body as a JSON object, {} if it is empty; fractions are Decimal."""
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


def _idempotency_key(key: str, body: BaseModel | None) -> IdempotencyKey:
    _validated(IdempotencyHeaders, {"Idempotency-Key": key})
    own = current_principal().user_id
    # All spellings of the user in the path are the same request.
    path = request.path.replace((request.view_args or {}).get("user_id") or own, own)
    content = f"{request.method} {path} {body.model_dump_json() if body else ''}"
    return IdempotencyKey(
        user_id=own,
        key=key,
        fingerprint=sha256(content.encode()).hexdigest(),
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _validated(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidFields(_faults(error, model)) from None


def _faults(error: ValidationError, model: type[BaseModel]) -> dict[str, str]:
    """Return the fault of each field, in words."""
    faults: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_input=False):
        field = _field_of(fault["loc"])
        if fault["type"] == "extra_forbidden":
            is_nested = len(fault["loc"]) > 1
            faults[field[:80]] = "unknown field" if is_nested else _unknown_field(field, model)
            continue
        message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
        faults.setdefault(field[:80], f"{message[:1].lower()}{message[1:]}")
    return faults


def _field_of(location: tuple[int | str, ...]) -> str:
    """Return the name of a field, with its place if it is one of an object in a list."""
    match location:
        case (str() as parent, int() as place, str() as name, *_):
            return f"{parent}.{place}.{name}"
        case (name, *_):
            return str(name)
    return "body"


def _unknown_field(name: str, model: type[BaseModel]) -> str:
    known = [field.alias or own for own, field in model.model_fields.items()]
    if not known:
        return f"unknown field {name[:80]}; no fields are accepted here"
    end = "" if (question := did_you_mean(name, known)) else "."
    return f"unknown field {name[:80]}{question or ''}{end} Known: {', '.join(known)}"
