"""`flask --app run worker`: a process with the monitor and the outbox, without a web server."""

from __future__ import annotations

from contextlib import ExitStack

import click
from flask.cli import with_appcontext

from app import database
from app.logs import logger
from app.server import serve_metrics, start_workers, wait_for_signal
from app.services import application, services


@click.command()
@with_appcontext
def worker() -> None:
    """Run the monitor and the outbox, without a web server, until SIGINT or SIGTERM."""
    app = application()
    with ExitStack() as stops:
        stops.callback(database.close)
        for part in start_workers(app):
            stops.callback(part.stop)
        stops.callback(serve_metrics(app))
        settings = services().settings
        fields = {
            "market_data": services().feed.name,
            "interval": settings.monitor_interval_seconds,
        }
        logger.info("worker: monitor and outbox are running", extra={"fields": fields})
        wait_for_signal()
        logger.info("stopping")
