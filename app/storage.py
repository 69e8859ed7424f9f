"""The disk of the embedded database: writes are refused before it is full, and once it is gone."""

from __future__ import annotations

from flask import Flask, current_app, request

from app.configuration.data_folder import Disk, DiskProblem
from app.domain.errors import DatabaseUnavailable, DiskFull, Unavailable

KEY = "disk"
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Sent by POST, and needed for reading.
READING_ENDPOINTS = frozenset({"auth.login"})


def init_app(app: Flask, disk: Disk | None) -> None:
    """Refuse requests that write while `disk` cannot take it; None is a database elsewhere."""
    app.extensions[KEY] = disk
    app.before_request(_refuse_writes)


def storage_error() -> Unavailable | None:
    """Return why nothing can be stored right now, None if nothing is known to be wrong."""
    disk: Disk | None = current_app.extensions[KEY]
    match disk and disk.problem():
        case DiskProblem.FULL:
            return DiskFull("The server's disk is nearly full. Try again later.")
        case DiskProblem.MISSING:
            return DatabaseUnavailable("The server's data folder is missing. Try again later.")
    return None


def _refuse_writes() -> None:
    if request.method in READING_METHODS or request.endpoint in READING_ENDPOINTS:
        return
    error = storage_error()
    if error:
        raise error
