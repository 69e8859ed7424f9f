"""The embedded database: SecantusDB as a child process, its storage in the data folder.

It speaks MongoDB's wire protocol on a loopback port of its own. It ends with the server however
that ends, and is started again should it end alone.

`run.py` starts it before it imports the application, which takes as long as the database takes to
open. So nothing is imported here that takes long itself.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from config import ConfigurationError

HOST = "127.0.0.1"
# An orphan of a killed server may need a moment to let go of the storage.
START_SECONDS = 20
# What an empty storage takes.
ROOM_BYTES = 256 * 1024
CHILD = Path(__file__).with_name("child.py")

# The program's log, by its name: `app.logs` imports Flask.
logger = logging.getLogger("paper_trading")


class EmbeddedDatabase:
    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._record = self._data_dir / "database.json"
        self._lock = FileLock(self._data_dir / "database.lock")
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        self._watched = False

    @property
    def uri(self) -> str:
        return _uri(self._port)

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

    def running_uri(self) -> str | None:
        """Return the URI of the database that another process runs in the folder, if any."""
        try:
            record = json.loads(self._record.read_text())
            port = int(record["port"])
        except (OSError, ValueError, KeyError):
            return None
        return _uri(port) if _answers(port) else None

    def watch(self) -> None:
        """Start it again whenever it ends by itself, until it is stopped."""
        self._watched = True
        while not self._stopping.is_set():
            self._wait_for_end()
            if self._stopping.is_set():
                break
            logger.error("the embedded database ended unexpectedly; starting it again")
            if not self._start_again():
                time.sleep(1)

    def stop(self) -> None:
        """End it. There is nothing to wait for: each commit is on the disk already."""
        self._stopping.set()
        if self._process:
            self._process.kill()
            self._process.wait()
            if not self._watched:
                # Otherwise the pipes are the watcher's to close: it may be reading from one.
                _bury(self._process)
        if self._lock.is_locked:
            # Otherwise the folder, and the record in it, are another server's.
            self._record.unlink(missing_ok=True)
            self._lock.release()

    def _take_folder(self) -> None:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self._check_room()
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
        with (self._data_dir / "database.log").open("w") as log:
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
            if _answers(self._port):
                return True
            time.sleep(0.02)
        if self._process.poll() is None:
            self._process.kill()
        _bury(self._process)
        return False

    def _start_again(self) -> bool:
        try:
            self._spawn()
            return self._comes_to_answer(time.monotonic() + START_SECONDS)
        except OSError as error:
            # A full disk, too many open files: what passes must not end the watch.
            logger.warning("the embedded database cannot be started: %s", error.strerror)
            return False

    def _command(self) -> list[str]:
        config = self._data_dir / "database.toml"
        # An empty file of our own, so that none lying about elsewhere is picked up.
        config.touch()
        flags = {
            "--config": config,
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
            _bury(self._process)

    def _write_record(self) -> None:
        assert self._process is not None
        record = {
            "port": self._port,
            "database_pid": self._process.pid,
            "server_pid": os.getpid(),
        }
        self._record.write_text(json.dumps(record))


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


def _bury(process: subprocess.Popen[str]) -> None:
    """Wait for the end of a process, and let go of the pipes to it."""
    with process:
        pass


def _uri(port: int) -> str:
    return f"mongodb://{HOST}:{port}/?directConnection=true"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
