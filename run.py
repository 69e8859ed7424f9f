"""The entry: async mode first, then the database, the application, the monitor, the server.

The application is imported inside the functions, since the database starts meanwhile.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

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

from app.embedded import EmbeddedDatabase, attach  # noqa: E402
from app.listener import listen  # noqa: E402
from config import ConfigurationError, Settings, load_settings  # noqa: E402

if TYPE_CHECKING:
    from flask import Flask

# What the server writes, its log included, is for its own user.
PRIVATE_UMASK = 0o077


def create_app() -> Flask:
    """Make the application for `flask --app run`, on the database of the configuration.

    An embedded one is that of the server running in DATA_DIR, or one of the command's own.
    """
    import click
    from pymongo.errors import PyMongoError

    from app import create_app as assemble_app
    from app.logs import set_up_logging

    os.umask(PRIVATE_UMASK)
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


def serve(settings: Settings) -> int:
    """Run the server until it is told to stop; return the exit status.

    Raise ConfigurationError if it cannot start.
    """
    with ExitStack() as stops:
        # The socket first: a port that is taken should cost nobody a started database.
        listener = stops.enter_context(listen(settings))
        database = None
        if settings.uses_embedded_database:
            database = EmbeddedDatabase(settings.data_dir)
            stops.callback(database.stop)
            database.begin()
        # While the database opens its storage: each takes about a second.
        from app.logs import set_up_logging
        from app.process import Server

        set_up_logging(settings)
        server = Server(settings, listener, database)
        server.run()
    return server.exit_status


def main() -> int:
    """Run the server until it is told to stop; return the exit status."""
    os.umask(PRIVATE_UMASK)
    try:
        return serve(load_settings())
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # Before the server was there to be stopped in order; the status is the shell's for it.
        return 130


if __name__ == "__main__":
    sys.exit(main())
