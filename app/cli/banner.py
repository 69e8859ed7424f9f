"""The banner: what the server prints once it accepts requests."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

from app.configuration.environment import ROOT
from app.logs import logger
from app.services import services
from app.transport.listener import location
from config import Settings

# Callable addresses for hosts that stand for every address of the machine.
LOOPBACK = {
    "0.0.0.0": "127.0.0.1",  # noqa: S104 - none is bound here
    "::": "::1",
    "": "127.0.0.1",
}


def print_banner(app: Flask, port: int) -> None:
    """Print or log where the server listens, its price feed, its data folder and a first call."""
    with app.app_context():
        settings, feed = services().settings, services().feed
    host = settings.host.strip("[]")
    local = f"http://{location(LOOPBACK.get(host, host), port)}"
    facts = {
        "listening on": f"http://{location(host, port)}",
        "mode": settings.socketio_async_mode,
        "prices from": ", then ".join(feed.describe()) or feed.name,
        "every": f"{settings.monitor_interval_seconds:g} s",
        "data in": _data_in(settings),
        "rate limits": _rate_limits(settings),
        "permitted": ", ".join(settings.production_allows),
        "documentation": f"{local}/docs",
        "check": doctor_command(),
    }
    if settings.log_format == "json":
        fields: dict[str, Any] = {name.replace(" ", "_"): fact for name, fact in facts.items()}
        logger.info("listening", extra={"fields": fields})
    else:
        # Not `sys.stderr`, whose lines go to the log.
        print(_banner(facts, local), file=sys.__stderr__, flush=True)


def _banner(facts: Mapping[str, str], local: str) -> str:
    """Return the banner; `local` is the address by which this machine reaches the server."""
    call = f"{local}/market/live/NIFTY"
    if "[" in call:
        # A shell would expand the brackets of an IPv6 address as a pattern.
        call = f"'{call}'"
    permitted = f"    permitted      {facts['permitted']}\n" if facts["permitted"] else ""
    return (
        f"\n  Paper trading backend\n"
        f"    listening on   {facts['listening on']}  ({facts['mode']})\n"
        f"    prices from    {facts['prices from']}, every {facts['every']}\n"
        f"    data in        {facts['data in']}\n"
        f"    rate limits    {facts['rate limits']}\n"
        f"    documentation  {facts['documentation']}\n{permitted}"
        f"\n  Open:   {local}/  (the trading desk)\n"
        f"  Try:    curl {call}\n"
        f"  Check:  {facts['check']}\n"
    )


def _data_in(settings: Settings) -> str:
    if settings.uses_embedded_database:
        return f"{settings.data_dir.resolve()} (embedded)"
    return "MongoDB at MONGO_URI"


def _rate_limits(settings: Settings) -> str:
    if not settings.ratelimit_enabled:
        return "off (RATELIMIT_ENABLED=false)"
    return (
        f"{settings.ratelimit_default} of each route; reads with a token {settings.ratelimit_reads}"
    )


def doctor_command() -> str:
    """Return the command that checks this installation."""
    folder = Path(sys.executable).parent
    flask = folder / ("flask.exe" if os.name == "nt" else "flask")
    here = Path.cwd() == ROOT
    if here and flask.is_relative_to(ROOT):
        program = str(flask.relative_to(ROOT).with_suffix(""))
    elif flask.exists():
        program = str(flask.with_suffix(""))
    else:
        program = f"{sys.executable} -m flask"
    command = f"{program} --app {'run' if here else ROOT / 'run'} doctor"
    made_by_make = folder.is_relative_to(ROOT / ".venv") and shutil.which("make")
    return f"make doctor, or {command}" if here and made_by_make else command
