"""The page at /docs: Redoc, served by this server only, without an inline script."""

from __future__ import annotations

import gzip
from functools import cache
from hashlib import sha256
from importlib import resources

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import NotFound

blueprint = Blueprint("docs_page", __name__)

SCRIPT = "redoc.js"
PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Paper Trading API</title>
<link rel="icon" href="data:,">
<style>body {{ margin: 0; padding: 0; }}</style>
</head>
<body>
<redoc spec-url="/openapi.json"></redoc>
<script type="module" src="/static/{SCRIPT}"></script>
</body>
</html>
"""
# Redoc writes inline styles and searches in a worker. It also loads the logo of its maker and
# reports its use, which this policy prevents.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.get("/docs")
def docs() -> Response:
    """Show the API to a person. The page loads nothing from other hosts."""
    response = Response(PAGE, mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY
    return _cached(response)


@blueprint.get("/static/<path:filename>")
def asset(filename: str) -> Response:
    """Return the script of the page."""
    if filename != SCRIPT:
        raise NotFound
    compressed = request.accept_encodings["gzip"] > 0
    response = Response(_script(compressed), mimetype="text/javascript")
    response.headers["Vary"] = "Accept-Encoding"
    if compressed:
        response.headers["Content-Encoding"] = "gzip"
    return _cached(response)


def _cached(response: Response) -> Response:
    response.headers["Cache-Control"] = "public, max-age=3600"
    response.set_etag(sha256(response.get_data()).hexdigest()[:32])
    response.make_conditional(request)
    return response


@cache
def _script(compressed: bool) -> bytes:
    content = (resources.files("offapi") / SCRIPT).read_bytes()
    return gzip.compress(content, mtime=0) if compressed else content
