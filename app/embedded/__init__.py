"""The embedded database: SecantusDB as a child process, its storage in the data folder.

It speaks MongoDB's wire protocol on a loopback port of its own, with those who know the secret in
the data folder. It ends with the server however that ends, and is started again should it end
alone.

`run.py` starts it before it imports the application, which takes as long as the database takes to
open. So nothing is imported here that takes long itself.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from app.configuration.data_folder import Disk, close_files, kept_secret, open_private, take_folder
from config import ConfigurationError

HOST = "127.0.0.1"
# An orphan of a killed server may need a moment to let go of the storage.
START_SECONDS = 20
# What an empty storage takes.
ROOM_BYTES = 256 * 1024
CHILD = Path(__file__).with_name("child.py")
USER = "paper_trading"
# How long a program on the port may take to prove that it is the database.
PROOF_SECONDS = 2
# How often a start is tried on a port that another program may only hold for a moment.
ATTEMPTS_ON_PORT = 3
MAX_PAUSE_SECONDS = 10
# database.log is continued by each start; one that has grown to this size becomes database.log.1.
MAX_LOG_BYTES = 1_000_000

# The program's log, by its name: `app.logs` imports Flask.
logger = logging.getLogger("paper_trading")


class IdempotencyRecord(Enum):
    OK = "ok"
    FAILS = "fails"
    NONE = "none"


class EmbeddedDatabase:
    """The database of a data folder, on a `disk` that is watched."""

    def __init__(self, data_dir: Path, disk: Disk | None = None) -> None:
        self._data_dir = data_dir.resolve()
        self.disk = disk or Disk(data_dir)
        self._record = self._data_dir / "database.json"
        self._lock = FileLock(self._data_dir / "database.lock", mode=0o600)
        self._log = self._data_dir / "database.log"
        self._old_log = self._data_dir / "database.log.1"
        self._start_problem = ""
        self._secret_file = self._data_dir / "database_secret"
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        self._watched = False

    @property
    def uri(self) -> str:
        return self._uri(self._port)

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises ConfigurationError where the data folder is in use or cannot be written.
        """
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Take the folder and start the process, without waiting for it.

        Raises ConfigurationError where the database is not installed, and where the data folder
        is in use or cannot be written.
        """
        _require_installed()
        self._take_folder()
        self._spawn()

    def wait(self) -> None:
        """Wait until it answers; start it again should it have ended.

        Raises ConfigurationError where it does not come to answer.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._comes_to_answer(deadline):
            # The port may be what was wrong: another program can take it at any moment.
            self._port = 0
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    [
                        f"DATA_DIR: the embedded database did not start in {self._data_dir}; "
                        f"{self._data_dir / 'database.log'} says why"
                    ]
                )
            time.sleep(0.2)
            self._spawn()
        self.disk.remember_storage()

    def running_uri(self) -> str | None:
        """Return the URI of the database that another process runs in the folder, if any."""
        try:
            record = json.loads(self._record.read_text())
            port = int(record["port"])
        except (OSError, ValueError, KeyError):
            return None
        return self._uri(port) if self._is_ours(port) else None

    def watch(self, on_moved: Callable[[str], object] = lambda uri: None) -> None:
        """Start it again whenever it ends by itself, until it is stopped.

        `on_moved` is called with its new URI if another program has taken its port meanwhile.
        """
        self._watched = True
        failures = 0
        while not self._stopping.is_set():
            self._wait_for_end()
            if self._stopping.is_set():
                break
            if not failures:
                logger.error("the embedded database ended unexpectedly; starting it again")
            moves = failures >= ATTEMPTS_ON_PORT and _listens(self._port)
            if moves:
                logger.error("another program listens on port %d; using another port", self._port)
                self._port = 0
            if self._start_again():
                failures = 0
                self._start_problem = ""
                if moves:
                    on_moved(self.uri)
            else:
                failures += 1
                self._stopping.wait(min(2.0**failures / 2, MAX_PAUSE_SECONDS))

    def answer(self) -> IdempotencyRecord:
        """Return how it answers a new client."""
        with self._client(self._port) as client:
            try:
                client.admin.command("ping")
            except OperationFailure:
                return IdempotencyRecord.FAILS
            except PyMongoError:
                # PyMongo goes on trying where the very greeting was answered with an error.
                (server,) = client.topology_description.server_descriptions().values()
                return (
                    IdempotencyRecord.FAILS
                    if isinstance(server.error, OperationFailure)
                    else IdempotencyRecord.NONE
                )
        return IdempotencyRecord.OK

    def restart(self) -> None:
        """End the process, to have `watch` start it again."""
        if self._process:
            self._process.kill()

    def limit_log(self) -> None:
        """Move what a log that has grown large holds aside, also under the process that writes it.

        It appends, so it goes on at the beginning of the emptied file.
        """
        with suppress(OSError):
            if self._log.stat().st_size > MAX_LOG_BYTES:
                with open(self._old_log, "wb", opener=open_private) as old:
                    old.write(self._log.read_bytes()[-MAX_LOG_BYTES:])
                os.truncate(self._log, 0)

    def stop(self) -> None:
        """End it. There is nothing to wait for: each commit is on the disk already."""
        self._stopping.set()
        if self._process:
            self._process.kill()
            self._process.wait()
            if not self._watched:
                # Otherwise the pipes are the watcher's to close: it may be reading from one.
                _reap(self._process)
        if self._lock.is_locked:
            # Otherwise the folder, and the record in it, are another server's.
            self._record.unlink(missing_ok=True)
            self._lock.release()

    def kill(self) -> int | None:
        """End the process without waiting, as a signal handler must; return its id."""
        if self._lock.is_locked:
            self._record.unlink(missing_ok=True)
        if self._process is None:
            return None
        with contextlib.suppress(OSError):
            os.kill(self._process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        return self._process.pid

    def _take_folder(self) -> None:
        try:
            take_folder(self._data_dir)
            self._lock.acquire(timeout=0)
            close_files(self._data_dir)
            self._check_room()
            kept_secret(self._secret_file)
        except Timeout:
            raise ConfigurationError(
                [
                    f"DATA_DIR: {self._data_dir} is in use by the server with "
                    f"process id {self._owner()}; stop that one, or choose another folder"
                ]
            ) from None
        except OSError as error:
            raise ConfigurationError(
                [f"DATA_DIR: {self._data_dir} cannot be used: {error.strerror}"]
            ) from None

    def _check_room(self) -> None:
        # The database would only fail to start, and have no room to say why.
        probe = self._data_dir / "database.probe"
        try:
            probe.write_bytes(bytes(ROOM_BYTES))
        finally:
            probe.unlink(missing_ok=True)

    def _owner(self) -> str:
        try:
            return str(json.loads(self._record.read_text())["server_pid"])
        except (OSError, ValueError, KeyError):
            return "unknown"

    def _spawn(self) -> None:
        self._port = self._port or _free_port()
        self.limit_log()
        with open(self._log, "a", opener=open_private) as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Its own session: Ctrl-C is for the server, which then ends it in order.
                start_new_session=True,
                text=True,
            )
        # Not only once it answers: whose the folder is should be known meanwhile.
        self._write_record()

    def _comes_to_answer(self, deadline: float) -> bool:
        """Wait until the process answers or has ended; end it at the deadline."""
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._is_ours(self._port):
                return True
            time.sleep(0.02)
        if self._process.poll() is None:
            self._process.kill()
        _reap(self._process)
        return False

    def _start_again(self) -> bool:
        # It would begin with an empty storage, and lose what it takes in when the folder is back.
        if self.disk.is_missing:
            self.disk.problem()
            return False
        try:
            self._spawn()
            return self._comes_to_answer(time.monotonic() + START_SECONDS)
        except OSError as error:
            # A full disk, too many open files: what passes must not end the watch.
            problem = error.strerror or ""
            if problem != self._start_problem:
                logger.warning("the embedded database cannot be started: %s", problem)
            self._start_problem = problem
            return False

    def _command(self) -> list[str]:
        flags = {
            # First: it is the child's own, and the rest are the database's.
            "--secret-file": self._secret_file,
            "--host": HOST,
            "--port": self._port,
            "--storage-path": self._data_dir / "database",
            "--log-level": "WARNING",
        }
        options = [str(part) for flag in flags.items() for part in flag]
        python = [sys.executable, "-P", str(CHILD), str(os.getpid())]
        # Without the first a kill -9 loses commits that were acknowledged. Without the second each
        # change is written twice, for change streams that nobody reads.
        return [*python, *options, "--sync-on-commit", "--standalone"]

    def _wait_for_end(self) -> None:
        # Its output ends when it does: a wait that costs nothing, in every async mode.
        # One that failed to start again has been buried, and its output closed.
        if self._process and self._process.stdout and not self._process.stdout.closed:
            self._process.stdout.read()
            _reap(self._process)

    def _write_record(self) -> None:
        assert self._process is not None
        record = {
            "port": self._port,
            "database_pid": self._process.pid,
            "server_pid": os.getpid(),
        }
        with open(self._record, "w", opener=open_private) as file:
            json.dump(record, file)

    def _uri(self, port: int) -> str:
        """Return the URI, with a secret that the other side has to know as well to be spoken to.

        SCRAM proves that to both sides without sending it, before any command.
        """
        try:
            secret = quote(self._secret_file.read_text().strip(), safe="")
        except OSError:
            secret = ""
        options = "directConnection=true&authSource=admin&authMechanism=SCRAM-SHA-256"
        return f"mongodb://{USER}:{secret}@{HOST}:{port}/?{options}"

    def _is_ours(self, port: int) -> bool:
        """Return whether the program that listens on the port is this folder's database."""
        if not _listens(port):
            return False
        try:
            with self._client(port) as client:
                client.admin.command("ping")
        except PyMongoError:
            return False
        return True

    def _client(self, port: int) -> MongoClient[dict[str, object]]:
        milliseconds = PROOF_SECONDS * 1000
        return MongoClient(
            self._uri(port), serverSelectionTimeoutMS=milliseconds, timeoutMS=milliseconds
        )


def attach(data_dir: Path) -> str:
    """Return the URI of the data folder's database for a command.

    It is the one that a server runs there now; else one is started, for as long as this
    process lives. Raises ConfigurationError where neither can be had.
    """
    embedded = EmbeddedDatabase(data_dir)
    running = embedded.running_uri()
    if running:
        return running
    atexit.register(embedded.stop)
    embedded.start()
    return embedded.uri


def _require_installed() -> None:
    if find_spec("secantus") is None:
        raise ConfigurationError(
            [
                "MONGO_URI: must name a MongoDB replica set, because the embedded database is not "
                "installed: it has no wheel for this system (Macs with Intel processors, Windows "
                "on ARM); the README says how to run MongoDB instead"
            ]
        )


def _reap(process: subprocess.Popen[str]) -> None:
    """Wait for the end of a process, and let go of the pipes to it."""
    with process:
        pass


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
