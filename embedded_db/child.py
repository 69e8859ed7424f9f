"""The database's process: SecantusDB, which ends with the server.

Run as a script, so that nothing of the application is imported:
`child.py PARENT_PID [--secret-file FILE] FLAGS`, with the flags of `secantusd-py`. With a secret
only clients that know it are served, and SCRAM proves to each of them that this is its database.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secantus import SecantusDBServer

PR_SET_PDEATHSIG = 1
# Files of the database are readable by their owner only.
UMASK = 0o077
USER = "paper_trading"
USERS_DATABASE = "admin"
# PyMongo's minimum; the secret is random, so more would add nothing.
ITERATIONS = 4096


def die_with_parent(parent: int) -> None:
    """End this process as soon as `parent` has ended, however it ended."""
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the server ended before its database had started")
        return
    threading.Thread(target=_die_at_end_of_input, daemon=True).start()


def _die_at_end_of_input() -> None:
    # Only the parent holds the other end of standard input, so it closes with the parent.
    while os.read(0, 1):
        pass
    os._exit(1)


def serve(secret: str | None, flags: list[str]) -> None:
    """Run the database with these flags until the process ends."""
    from secantus import SecantusDBServer
    from secantus.cli import build_parser

    chosen = build_parser().parse_args(flags)
    logging.basicConfig(
        level=chosen.log_level or "WARNING",
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    server = SecantusDBServer(
        host=chosen.host,
        port=chosen.port,
        storage_path=chosen.storage_path,
        require_auth=secret is not None,
        enable_test_commands=False,
        replica_set_name=None if chosen.standalone else "secantus",
        sync_on_commit=bool(chosen.sync_on_commit),
    )
    if secret is not None:
        _set_password(server, secret)
    server.start()
    # The supervisor waits for this line.
    print("ready", flush=True)
    server.wait()


def _set_password(server: SecantusDBServer, password: str) -> None:
    """Set the password of the only user.

    `createUser` would do the same, but needs a connection to a running server.
    """
    from secantus.auth import SCRAM_SHA_256, derive_credentials

    record = {
        "_id": f"{USERS_DATABASE}.{USER}",
        "user": USER,
        "db": USERS_DATABASE,
        "credentials": derive_credentials(password, iterations=ITERATIONS).to_doc(),
        "roles": [{"role": "root", "db": USERS_DATABASE}],
        "mechanisms": [SCRAM_SHA_256],
    }
    server.storage.add_user(USERS_DATABASE, USER, record, replace=True)


def main(parent: str, *arguments: str) -> None:
    die_with_parent(int(parent))
    # A service manager signals every process of a service. The server ends this one last.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.umask(UMASK)
    match arguments:
        case ["--secret-file", file, *flags]:
            serve(Path(file).read_text().strip(), flags)
        case _:
            serve(None, [*arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
