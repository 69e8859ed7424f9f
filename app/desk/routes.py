"""The page at / and its files."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, render_template, request
from werkzeug.exceptions import NotFound

from app.desk.files import (
    VENDOR,
    Asset,
    first_modules,
    missing_libraries,
    read_asset,
    version,
)
from app.extensions import limiter
from app.services import services
from app.web.rate_limits import count_unknown_address

blueprint = Blueprint("desk", __name__, template_folder="templates")

HTML = "text/html"
# Neither inline scripts nor inline styles. The libraries set styles by script, which is allowed.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The browser asks each time whether a file changed.
CACHE_CONTROL = "no-cache"
# What has the version in its address never changes: a page that is loaded again asks for none of
# its modules, and those of one page fit each other.
FOREVER = "public, max-age=31536000, immutable"
# Its scope is the page, which is above its own address.
SERVICE_WORKER = "service-worker.js"


def init_app(app: Flask) -> None:
    # A page loads dozens of files at once.
    limiter.exempt(blueprint)
    app.register_blueprint(blueprint)


@blueprint.get("/")
def desk() -> Response:
    """Show the desk to a browser. Programs get the 404 of an address without a route."""
    if not _asks_for_html():
        count_unknown_address()
        raise NotFound
    missing = missing_libraries()
    page = render_template(
        "desk_missing.html" if missing else "desk.html",
        missing=missing,
        modules=first_modules(),
        version=version(),
        has_demo=services().settings.app_env != "production",
    )
    response = Response(page, 503 if missing else 200, mimetype=HTML)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = CACHE_CONTROL
    response.headers["Vary"] = "Accept"
    return response


@blueprint.get("/desk/v/<wanted>/<path:name>")
def versioned_file(wanted: str, name: str) -> Response:
    """Return a file of the desk, for a browser to keep if it is of the wanted version."""
    response = file(name)
    if wanted == version() and not name.startswith(VENDOR):
        response.headers["Cache-Control"] = FOREVER
    return response


@blueprint.get("/desk/<path:name>")
def file(name: str) -> Response:
    """Return a file of the desk."""
    asset = read_asset(name)
    if asset is None:
        count_unknown_address()
        raise NotFound
    response = _asset_response(asset)
    if name == SERVICE_WORKER:
        response.headers["Service-Worker-Allowed"] = "/"
    return response


def _asks_for_html() -> bool:
    # `*/*` is of curl and of most programs; a browser names HTML.
    return any(kind == HTML and quality > 0 for kind, quality in request.accept_mimetypes)


def _asset_response(asset: Asset) -> Response:
    is_compressed = asset.compressed is not None and request.accept_encodings["gzip"] > 0
    content = asset.compressed if is_compressed else asset.content
    response = Response(content, mimetype=asset.media_type)
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = CACHE_CONTROL
    response.headers["Content-Security-Policy"] = POLICY
    response.set_etag(asset.etag, weak=True)
    response.make_conditional(request)
    return response
