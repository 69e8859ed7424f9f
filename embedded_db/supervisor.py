"""The parent of the database's process: starts it, watches it, and ends it with the server.

The database speaks MongoDB's wire protocol on a loopback port of its own. Clients need the secret
in the data folder.
"""

from __future__ import annotations

import atexit
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
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from embedded_db.data_folder import close_files, kept_secret, open_private, take_folder
from embedded_db.disk import Disk

HOST = "127.0.0.1"
CHILD = Path(__file__).with_name("child.py")
PROGRAM = Path(__file__).with_name("database_program.py")
USER = "paper_trading"
# Printed by the program once it accepts connections.
READY = "ready\n"
# The orphan of a killed server may take a moment to release the storage.
START_SECONDS = 20
RETRY_SECONDS = 0.2
MAX_RETRY_SECONDS = 10
# Failed restarts on a port in use, after which the database moves to another.
MAX_ATTEMPTS_ON_PORT = 3
# The size of an empty storage.
MIN_FREE_BYTES = 256 * 1024
# Each start appends to database.log; at this size its content moves to database.log.1.
MAX_LOG_BYTES = 1_000_000

logger = logging.getLogger("paper_trading")


class StartError(Exception):
    """The database cannot be started; the message names the variable and what to do."""


class EmbeddedDatabase:
    """The database of one data folder."""

    def __init__(self, data_dir: Path, disk: Disk | None = None) -> None:
        self._data_dir = data_dir.resolve()
        self.disk = disk or Disk(data_dir)
        self._record = self._data_dir / "database.json"
        self._lock = FileLock(self._data_dir / "database.lock", mode=0o600)
        self._log = self._data_dir / "database.log"
        self._old_log = self._data_dir / "database.log.1"
        self._secret_file = self._data_dir / "database_secret"
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self._start_problem = ""
        self._stopping = threading.Event()
        self._is_watched = False

    @property
    def uri(self) -> str:
        """The URI of the database, with its secret.

        SCRAM proves the secret to both sides without sending it, so a program that has taken the
        port learns nothing and is not believed.
        """
        return self._uri(self._port)

    def start(self) -> None:
        """Start the database and wait until it accepts connections; raise StartError."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Take the folder and start the process without waiting for it; raise StartError.

        The error says that the database is not installed, or that the folder is in use or cannot
        be written.
        """
        _require_installed()
        self._take_folder()
        self._spawn()

    def wait(self) -> None:
        """Wait until the database accepts connections; start it again if it has ended.

        Raises StartError after START_SECONDS.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._becomes_ready(deadline - time.monotonic()):
            # Another program may have taken the port.
            self._port = 0
            if time.monotonic() > deadline:
                raise StartError(
                    f"DATA_DIR: the embedded database did not start in {self._data_dir}; "
                    f"{self._log} says why"
                )
            time.sleep(RETRY_SECONDS)
            self._spawn()
        self.disk.remember_storage()

    def running_uri(self, is_ours: Callable[[str], bool]) -> str | None:
        """Return the URI of the database that another process runs in the folder, if any.

        `is_ours` returns whether the program at a URI accepts and proves the secret.
        """
        try:
            port = int(json.loads(self._record.read_text())["port"])
        except (OSError, ValueError, KeyError):
            return None
        uri = self._uri(port)
        return uri if _listens(port) and is_ours(uri) else None

    def watch(self, on_moved: Callable[[str], object] = lambda uri: None) -> None:
        """Start the database again whenever it ends by itself, until it is stopped.

        `on_moved` is called with the new URI if another program has taken its port.
        """
        self._is_watched = True
        failures = 0
        while not self._stopping.is_set():
            self._wait_for_end()
            if self._stopping.is_set():
                break
            if not failures:
                logger.error("the embedded database ended unexpectedly; starting it again")
            moves = failures >= MAX_ATTEMPTS_ON_PORT and _listens(self._port)
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
                self._stopping.wait(min(2.0**failures / 2, MAX_RETRY_SECONDS))

    def restart(self) -> None:
        """End the process, for `watch` to start it again."""
        if self._process:
            self._process.kill()

    def limit_log(self) -> None:
        """Move the content of a large database.log to database.log.1.

        The process may be writing to the file: it appends, so it continues at the new end.
        """
        with suppress(OSError):
            if self._log.stat().st_size > MAX_LOG_BYTES:
                with open(self._old_log, "wb", opener=open_private) as old:
                    old.write(self._log.read_bytes()[-MAX_LOG_BYTES:])
                os.truncate(self._log, 0)

    def stop(self) -> None:
        """End the process at once: every commit is on the disk already."""
        self._stopping.set()
        if self._process:
            self._process.kill()
            self._process.wait()
            if not self._is_watched:
                # The watcher may be reading from a pipe, and closes them itself.
                _reap(self._process)
        if self._lock.is_locked:
            # Without the lock the folder and the record are another server's.
            self._record.unlink(missing_ok=True)
            self._lock.release()

    def kill(self) -> int | None:
        """End the process without waiting, as a signal handler must; return its id."""
        if self._lock.is_locked:
            self._record.unlink(missing_ok=True)
        if self._process is None:
            return None
        with suppress(OSError):
            os.kill(self._process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        return self._process.pid

    def _take_folder(self) -> None:
        try:
            take_folder(self._data_dir)
            self._lock.acquire(timeout=0)
            close_files(self._data_dir)
            self._require_free_space()
            kept_secret(self._secret_file)
        except Timeout:
            raise StartError(
                f"DATA_DIR: {self._data_dir} is in use by the server with "
                f"process id {self._owner()}; stop that one, or choose another folder"
            ) from None
        except OSError as error:
            raise StartError(
                f"DATA_DIR: {self._data_dir} cannot be used: {error.strerror}"
            ) from None

    def _require_free_space(self) -> None:
        # Without space the database fails to start and cannot log why.
        probe = self._data_dir / "database.probe"
        try:
            probe.write_bytes(bytes(MIN_FREE_BYTES))
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
                # A session of its own: Ctrl-C signals only the server, which then ends it.
                start_new_session=True,
                text=True,
            )
        # Written before the database is ready, so that a second server can name the owner.
        self._write_record()

    def _becomes_ready(self, seconds: float) -> bool:
        """Wait until the process is ready or has ended; end it after `seconds`."""
        assert self._process is not None
        assert self._process.stdout is not None
        timer = threading.Timer(seconds, self._process.kill)
        timer.start()
        try:
            if self._process.stdout.readline() == READY:
                return True
        finally:
            timer.cancel()
        _reap(self._process)
        return False

    def _start_again(self) -> bool:
        # In a folder that is missing the database would begin with an empty storage.
        if self.disk.is_missing:
            self.disk.problem()
            return False
        try:
            self._spawn()
            return self._becomes_ready(START_SECONDS)
        except OSError as error:
            # A full disk or too many open files may pass, so the watch continues.
            problem = error.strerror or ""
            if problem != self._start_problem:
                logger.warning("the embedded database cannot be started: %s", problem)
            self._start_problem = problem
            return False

    def _command(self) -> list[str]:
        flags = {
            # First, because the program reads it; the rest are flags of the database.
            "--secret-file": self._secret_file,
            "--host": HOST,
            "--port": self._port,
            "--storage-path": self._data_dir / "database",
            "--log-level": "WARNING",
        }
        options = [str(part) for flag in flags.items() for part in flag]
        # Without --sync-on-commit, kill -9 loses acknowledged commits. Without --standalone, each
        # change is also written for change streams, which we do not use.
        return [*program_command(), *options, "--sync-on-commit", "--standalone"]

    def _wait_for_end(self) -> None:
        # The output of the process ends with it, and reading waits in every async mode.
        # The output is already closed if the last restart failed.
        if self._process and self._process.stdout and not self._process.stdout.closed:
            self._process.stdout.read()
            _reap(self._process)

    def _write_record(self) -> None:
        assert self._process is not None
        record = {"port": self._port, "database_pid": self._process.pid, "server_pid": os.getpid()}
        with open(self._record, "w", opener=open_private) as file:
            json.dump(record, file)

    def _uri(self, port: int) -> str:
        try:
            secret = quote(self._secret_file.read_text().strip(), safe="")
        except OSError:
            secret = ""
        options = "directConnection=true&authSource=admin&authMechanism=SCRAM-SHA-256"
        return f"mongodb://{USER}:{secret}@{HOST}:{port}/?{options}"


def program_command() -> list[str]:
    """Return the command that starts the database as a program of its own, without its flags."""
    if os.name == "nt":
        # Windows has no exec that keeps the process id, and nothing that child.py would set.
        return [sys.executable, "-P", str(PROGRAM)]
    # -I and -S: child.py needs no package, and looking for them takes longer than child.py.
    return [sys.executable, "-I", "-S", str(CHILD), str(os.getpid())]


def attach(data_dir: Path, is_ours: Callable[[str], bool]) -> str:
    """Return the URI of the data folder's database, for a command; raise StartError.

    That is the database of a running server. Without one, a database is started and ends with
    this process. `is_ours` is as in `EmbeddedDatabase.running_uri`.
    """
    database = EmbeddedDatabase(data_dir)
    running = database.running_uri(is_ours)
    if running:
        return running
    atexit.register(database.stop)
    database.start()
    return database.uri


def _require_installed() -> None:
    if find_spec("secantus") is None:
        raise StartError(
            "MONGO_URI: must name a MongoDB replica set, because the embedded database is not "
            "installed; set it, or run `python -m pip install --require-hashes -r "
            "requirements-embedded.txt` (not on Macs with Intel processors and Windows on ARM, "
            "for which it has no wheel)"
        )


def _reap(process: subprocess.Popen[str]) -> None:
    """Wait for the end of a process and close its pipes."""
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
