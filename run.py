"""The entry: async mode first, then the database, the application, the monitor, the server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dotenv import dotenv_values


def patch_for_async_mode() -> None:
    """Make the standard library cooperative, before anything else is imported."""
    from_file = dotenv_values(Path(__file__).with_name(".env"))
    variable = "SOCKETIO_ASYNC_MODE"
    mode = (os.environ.get(variable) or from_file.get(variable) or "eventlet").strip().lower()
    if mode == "eventlet":
        # Its own resolver does not get on with TLS; the system's runs in a real thread instead.
        os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
        import warnings

        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        import eventlet
        from eventlet import tpool

        eventlet.monkey_patch()
        import socket

        resolve = socket.getaddrinfo
        socket.getaddrinfo = lambda *args, **kwargs: tpool.execute(resolve, *args, **kwargs)
    elif mode == "gevent":
        from gevent import monkey

        monkey.patch_all()


if __name__ == "__main__":
    patch_for_async_mode()

import click  # noqa: E402
from flask import Flask  # noqa: E402
from pymongo.errors import PyMongoError  # noqa: E402

from app import create_app as assemble_app  # noqa: E402
from app.embedded import attach  # noqa: E402
from app.logs import set_up_logging  # noqa: E402
from app.process import Server  # noqa: E402
from config import ConfigurationError, load_settings  # noqa: E402


def create_app() -> Flask:
    """Make the application for `flask --app run`, on the database of the configuration.

    An embedded one is that of the server running in DATA_DIR, or one of the command's own.
    """
    try:
        # A command serves nobody, so it needs no other mode than Python's own threads.
        settings = load_settings().model_copy(update={"socketio_async_mode": "threading"})
        set_up_logging(settings)
        uri = attach(settings.data_dir) if settings.uses_embedded_database else None
        return assemble_app(settings, mongo_uri=uri, for_command=True)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    except PyMongoError as error:
        raise click.ClickException(
            f"The database does not answer ({type(error).__name__}). "
            "Start the database, or correct MONGO_URI."
        ) from None


def main() -> int:
    """Run the server until it is told to stop; return the exit status."""
    try:
        settings = load_settings()
        set_up_logging(settings)
        Server(settings).run()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # Before the server was there to be stopped in order; the status is the shell's for it.
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
