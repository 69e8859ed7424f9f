"""The OpenAPI document at /openapi.json."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

from flask import Blueprint, Flask, current_app

from app.web.schemas import MAXIMUM_BODY_BYTES

blueprint = Blueprint("openapi", __name__)

KEY = "openapi"
VERSION = "1.0.0"


def init_app(app: Flask) -> None:
    """Serve /openapi.json."""
    app.config["MAX_CONTENT_LENGTH"] = MAXIMUM_BODY_BYTES
    # Made for the first request, when every route is registered.
    app.extensions[KEY] = cache(_make_document)
    app.register_blueprint(blueprint)


@blueprint.get("/openapi.json")
def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of this API."""
    return cast(Callable[[], dict[str, Any]], current_app.extensions[KEY])()


def _make_document() -> dict[str, Any]:
    # spectree takes a tenth of a second to import, and most servers are never asked for this.
    from app.web.openapi_document import make_document

    return make_document()
