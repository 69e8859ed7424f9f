"""The entry point: async mode, settings, embedded database, server.

Ctrl-C at any moment ends the server without a traceback, so nothing is imported before the handler
below is installed, not even `annotations` from `__future__`. The application is imported inside
functions, while the database starts.
"""

import atexit
import os
import sys


def _end_without_traceback(kind: type[BaseException], *rest: object) -> None:
    """Replace the interpreter's hook until the signal handlers are installed."""
    if issubclass(kind, KeyboardInterrupt):
        os._exit(130)
    sys.__excepthook__(kind, *rest)  # type: ignore[arg-type]


if __name__ == "__main__":
    # The next import alone takes 20 ms.
    sys.excepthook = _end_without_traceback

import signal  # noqa: E402

# Databases that a signal during the start ends together with this process.
_databases: "list[EmbeddedDatabase]" = []
# Taken now: eventlet and gevent replace it with a function that needs their loop.
_wait_for_process = getattr(os, "waitpid", None)


def end_at_once(number: int, _frame: object) -> None:
    """Handle a signal during the start: end the process and its database silently.

    The handler raises nothing. An exception could strike in the middle of an import or in any
    greenlet, and would be printed or swallowed there.
    """
    for database in _databases:
        pid = database.kill()
        if pid is not None and _wait_for_process is not None:
            try:
                _wait_for_process(pid, 0)
            except OSError:
                continue
    os._exit(128 + number)


if __name__ == "__main__":
    # Before the imports below, which take most of the start.
    for _number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(_number, end_at_once)
    sys.excepthook = sys.__excepthook__

    import gc

    # What the start makes stays for good. Garbage collections would look through it again and
    # again, for a tenth of the start; `app.server` enables them.
    gc.disable()

from contextlib import ExitStack  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from app.configuration.environment import (  # noqa: E402
    ConfigurationError,
    Environment,
    find_misspelled,
    read_environment,
)


def patch_for_async_mode(environment: Environment) -> None:
    """Make the standard library cooperative, before anything else is imported."""
    mode = (environment.get("SOCKETIO_ASYNC_MODE") or "eventlet").strip().lower()
    if mode == "eventlet":
        # eventlet's own resolver fails with TLS, so the system's runs in a real thread instead.
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


def refuse(error: ConfigurationError, log_format: str) -> int:
    """Say why the server does not start; return the exit status."""
    if log_format.strip().lower() == "json":
        from app.logs import logger
        from app.logs.output import set_up_early_logging

        set_up_early_logging("json")
        logger.critical(
            "The configuration cannot be used", extra={"fields": {"offences": error.offences}}
        )
    else:
        # Not `sys.stderr`, whose lines may already go to the log.
        print(error, file=sys.__stderr__)
    return 2


_environment = Environment({})
if __name__ == "__main__":
    try:
        _environment = read_environment()
    except ConfigurationError as _error:
        sys.exit(refuse(_error, os.environ.get("LOG_FORMAT", "")))
    patch_for_async_mode(_environment)

from app.transport.listener import listen  # noqa: E402
from config import VARIABLES, Settings, load_settings  # noqa: E402
from embedded_db.disk import MEGABYTE, Disk  # noqa: E402
from embedded_db.supervisor import EmbeddedDatabase, StartError, attach  # noqa: E402

if TYPE_CHECKING:
    import click
    from flask import Flask

# The server's files, its log included, are readable by its own user only.
PRIVATE_UMASK = 0o077
GUNICORN_LOAD_ERROR = 4


def create_app() -> "Flask":
    """Make the application for `flask --app run`, on the configured database.

    With an embedded database the command uses that of the server running in DATA_DIR, or starts
    its own. A worker is no such command: it is a part of the server.
    """
    import click
    from pymongo.errors import PyMongoError

    _require_command(click.get_current_context(silent=True))
    # Flask makes the application before it looks up the command.
    is_worker = "worker" in sys.argv[1:]
    os.umask(PRIVATE_UMASK)
    try:
        # No requests are served, so Python's own threads are enough.
        app = _create_part("threading", polls=True) if is_worker else _create_for_command()
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    except StartError as error:
        raise click.ClickException(str(ConfigurationError([str(error)]))) from None
    except PyMongoError as error:
        raise click.ClickException(_no_database(error)) from None
    from app.worker import worker

    app.cli.add_command(worker)
    return app


def create_web_app() -> "Flask":
    """Make the application of a web process, for gunicorn with deploy/gunicorn.conf.py."""
    from pymongo.errors import PyMongoError

    os.umask(PRIVATE_UMASK)
    try:
        return _create_part("gevent", polls=False)
    except ConfigurationError as error:
        refuse(error, os.environ.get("LOG_FORMAT", ""))
    except PyMongoError as error:
        print(_no_database(error), file=sys.__stderr__)
    # With this status a gunicorn worker says that a restart would not help.
    raise SystemExit(GUNICORN_LOAD_ERROR)


def _create_for_command() -> "Flask":
    from app import create_app as assemble_app
    from app import database
    from app.database.ping import is_reachable
    from app.logs.output import set_up_logging

    settings = load_settings().model_copy(update={"socketio_async_mode": "threading"})
    set_up_logging(settings)
    uri = None
    if settings.uses_embedded_database:
        uri = attach(settings.data_dir, is_reachable)
        # Called before the database stops: the client would log that it is gone.
        atexit.register(database.close)
    return assemble_app(settings, mongo_uri=uri, for_command=True)


def _create_part(async_mode: str, *, polls: bool) -> "Flask":
    """Make the application of a web process or a worker; start nothing."""
    from app import create_app as assemble_app
    from app.configuration.shared import require_shared
    from app.logs.output import capture_standard_error

    environment = read_environment()
    settings = load_settings(environment).model_copy(update={"socketio_async_mode": async_mode})
    require_shared(settings)
    _set_up_log(settings, environment)
    capture_standard_error()
    return assemble_app(settings, polls=polls)


def _set_up_log(settings: Settings, environment: Environment) -> None:
    from app.logs import logger
    from app.logs.output import set_up_logging

    set_up_logging(settings)
    for sentence in find_misspelled(environment, VARIABLES)[1]:
        logger.warning("%s", sentence)


def _no_database(error: Exception) -> str:
    return (
        f"The database does not answer ({type(error).__name__}). "
        "Start the database, or correct MONGO_URI."
    )


def _require_command(context: "click.Context | None") -> None:
    """Refuse to run under another web server: it would start no monitor."""
    if context is not None and context.info_name != "run":
        return
    sentence = (
        "This server is started with `python run.py`, and a web process beside workers with "
        "`gunicorn -c deploy/gunicorn.conf.py`."
    )
    if context is not None:
        import click

        raise click.ClickException(sentence)
    print(sentence, file=sys.stderr)
    raise SystemExit(GUNICORN_LOAD_ERROR)


def serve(settings: Settings) -> int:
    """Run the server until SIGINT or SIGTERM; return the exit status.

    Raises ConfigurationError and StartError if it cannot start.
    """
    with ExitStack() as stops:
        # First, so that no database is started if the port is taken.
        listener = stops.enter_context(listen(settings))
        database = None
        if settings.uses_embedded_database:
            database = EmbeddedDatabase(
                settings.data_dir,
                Disk(settings.data_dir, settings.min_free_disk_mb * MEGABYTE),
            )
            stops.callback(database.stop)
            _databases.append(database)
            database.begin()
        # Imported while the database opens its storage: each takes about a second.
        from app.server import run_server

        return run_server(settings, listener, database)


def main() -> int:
    """Run the server until SIGINT or SIGTERM; return the exit status."""
    from app.logs.output import capture_standard_error

    os.umask(PRIVATE_UMASK)
    log_format = _environment.get("LOG_FORMAT", "")
    try:
        settings = load_settings(_environment)
        _set_up_log(settings, _environment)
        capture_standard_error()
        return serve(settings)
    except ConfigurationError as error:
        return refuse(error, log_format)
    except StartError as error:
        return refuse(ConfigurationError([str(error)]), log_format)


if __name__ == "__main__":
    sys.exit(main())
