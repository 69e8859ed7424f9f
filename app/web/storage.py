"""Requests that write are refused if the embedded database's disk is nearly full or missing."""

from __future__ import annotations

from flask import Flask, current_app, g, request

from app.domain.errors import DatabaseUnavailable, DiskFull, Unavailable
from embedded_db.disk import Disk, DiskProblem

KEY = "disk"
# A POST that is needed for reading.
READING_ENDPOINTS = frozenset({"auth.login"})


def init_app(app: Flask, disk: Disk | None) -> None:
    """Refuse requests that write if `disk` has a problem; it is None for a MongoDB server."""
    app.extensions[KEY] = disk
    if disk is not None:
        app.before_request(_refuse_writes)


def storage_error() -> Unavailable | None:
    """Return why nothing can be stored now; None if no problem is known."""
    disk: Disk | None = current_app.extensions[KEY]
    match disk and disk.problem():
        case DiskProblem.FULL:
            return DiskFull("The server's disk is nearly full. Try again later.")
        case DiskProblem.MISSING:
            return DatabaseUnavailable("The server's data folder is missing. Try again later.")
    return None


def _refuse_writes() -> None:
    if g.is_read or request.method == "OPTIONS" or request.endpoint in READING_ENDPOINTS:
        return
    error = storage_error()
    if error:
        raise error
