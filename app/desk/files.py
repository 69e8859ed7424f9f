"""The files of the desk: our own modules, and the libraries that npm installed."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import urljoin

from app.configuration.environment import ROOT

STATIC = Path(__file__).parent / "static"
LIBRARIES = ROOT / "node_modules"
# The only files of node_modules that are served, each a single module, style sheet or font.
LIBRARY_FILES = (
    "lit-html/lit-html.js",
    "lit-html/directive.js",
    "lit-html/directives/repeat.js",
    "lit-html/directive-helpers.js",
    "@lit/reactive-element/reactive-element.js",
    "@lit/reactive-element/css-tag.js",
    "socket.io-client/dist/socket.io.esm.min.js",
    "klinecharts/dist/umd/klinecharts.min.js",
    "uplot/dist/uPlot.esm.js",
    "uplot/dist/uPlot.min.css",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2",
)
VENDOR = "vendor/"
MAIN = "main.js"
# An import at the beginning of a statement, of a module of the page's own.
IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*["']([./][^"']+)["']""")
NAME = re.compile(r"[a-z0-9./-]{1,100}")
MEDIA_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".html": "text/html",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
# Fonts and images are compressed already.
COMPRESSED = frozenset({".png", ".woff2"})


@dataclass(frozen=True, slots=True)
class Asset:
    """The content of a file. `compressed` is None if gzip would not make it smaller."""

    content: bytes
    compressed: bytes | None
    media_type: str
    etag: str


def read_asset(name: str) -> Asset | None:
    """Return the file of this name below /desk/, None if the desk has none."""
    path = _find(name)
    return None if path is None else _read(path, path.stat().st_mtime_ns)


def version() -> str:
    """Return a name of our files as they are now; it changes with the content of any of them."""
    files = sorted(path for path in STATIC.iterdir() if path.is_file())
    return _version(tuple((path, path.stat().st_mtime_ns) for path in files))


@lru_cache(1)
def _version(files: tuple[tuple[Path, int], ...]) -> str:
    digest = sha256()
    for path, _ in files:
        digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def missing_libraries() -> list[str]:
    """Return the libraries that npm has not installed."""
    return [name for name in LIBRARY_FILES if not (LIBRARIES / name).is_file()]


@lru_cache(1)
def first_modules() -> list[str]:
    """Return the names of the modules that the page needs before it shows anything, ours first.

    They are what `main.js` imports, directly or not, except by `import()`. A browser that loads
    them at once does not wait for one to learn of the next.
    """
    found = {MAIN: None}
    waiting = [MAIN]
    while waiting:
        name = waiting.pop()
        for imported in _imports_of(name):
            if imported not in found:
                found[imported] = None
                waiting.append(imported)
    return sorted(found, key=lambda name: (name.startswith(VENDOR), name))


def _imports_of(name: str) -> Iterator[str]:
    path = _find(name)
    if path is None:
        return
    for address in IMPORT.findall(path.read_text()):
        yield urljoin(f"/desk/{name}", address).removeprefix("/desk/")


def _find(name: str) -> Path | None:
    if name.startswith(VENDOR):
        library = name.removeprefix(VENDOR)
        path = LIBRARIES / library
        return path if library in LIBRARY_FILES and path.is_file() else None
    if not NAME.fullmatch(name):
        return None
    path = (STATIC / name).resolve()
    is_ours = path.is_relative_to(STATIC) and path.suffix in MEDIA_TYPES and path.is_file()
    return path if is_ours else None


@lru_cache(256)
def _read(path: Path, _modified_at: int) -> Asset:
    content = path.read_bytes()
    return Asset(
        content=content,
        compressed=None if path.suffix in COMPRESSED else gzip.compress(content, mtime=0),
        media_type=MEDIA_TYPES[path.suffix],
        etag=sha256(content).hexdigest()[:32],
    )
