"""The data folder: who may read it, the secrets in it, and the room on its disk."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

# The program's log, by its name: `app.logs` imports Flask.
logger = logging.getLogger("paper_trading")

MEGABYTE = 1024 * 1024
# What a database needs to start and write.
START_BYTES = 4 * MEGABYTE
OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What the server writes into the folder. Anything else in it is not ours to change.
OWN_FILES = (
    "secret_key",
    "jwt_secret_key",
    "database",
    "database.json",
    "database.lock",
    "database.log",
    "database.log.1",
    "database.toml",
    "database_secret",
)


class FolderRefused(OSError):
    """The folder cannot be closed to other users; `strerror` says why and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EPERM, reason)


def take_folder(folder: Path) -> None:
    """Make the folder if it is missing, and close it to other users.

    Raises OSError: FolderRefused for one that belongs to someone else and is open to others.
    """
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    if not _has_owners():
        return
    status = folder.stat()
    if not status.st_mode & OTHERS:
        return
    if status.st_mode & stat.S_ISVTX:
        raise FolderRefused(
            "it is shared by all users of this machine; choose a folder inside it instead"
        )
    if status.st_uid != os.geteuid():
        raise FolderRefused(
            f"other users may enter it (mode {stat.S_IMODE(status.st_mode):04o}), and it belongs "
            f"to user {status.st_uid}, not to user {os.geteuid()} who runs the server; "
            "give it to that user or choose another folder"
        )
    folder.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)


def close_files(folder: Path) -> None:
    """Take from other users what earlier versions let them read in the folder."""
    if not _has_owners():
        return
    for path in _own_paths(folder):
        status = path.lstat()
        is_ordinary = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
        if is_ordinary and status.st_mode & OTHERS and status.st_uid == os.geteuid():
            path.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)


def open_private(path: str | Path, flags: int) -> int:
    """Open a file that only its owner may read; an `opener` for `open`."""
    return os.open(path, flags, stat.S_IRUSR | stat.S_IWUSR)


def kept_secret(path: Path) -> str:
    """Return the secret in a file, made now if there is none; raise OSError."""
    if not path.exists() or not path.read_text().strip():
        # Written aside and linked into place, so that two servers starting at once, or one
        # killed half way, never leave an empty or a second secret.
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            with open(draft, "x", opener=open_private) as file:
                file.write(secrets.token_hex(32))
            if path.exists() and not path.read_text().strip():
                path.unlink()
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
    return path.read_text().strip()


def free_bytes(folder: Path) -> int:
    """Return how many bytes this user may still write to the folder's disk; raise OSError."""
    return shutil.disk_usage(folder).free


class DiskProblem(Enum):
    FULL = "disk_full"
    MISSING = "data_folder_missing"


class Disk:
    """The disk that the database of a data folder writes to.

    `free` returns the bytes that may still be written; it can be replaced for a test.
    """

    def __init__(
        self,
        folder: Path,
        min_free_bytes: int = 0,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._storage = folder.resolve() / "database"
        self._min_free_bytes = min_free_bytes
        self._free = free
        self._identity: tuple[int, int] | None = None
        self._noted: DiskProblem | None = None

    def remember_storage(self) -> None:
        """Note which folder the database has opened: one put in its place later is another."""
        status = self._storage.stat()
        self._identity = (status.st_dev, status.st_ino)

    def problem(self) -> DiskProblem | None:
        """Return why nothing should be written now; log it when that changes."""
        found = self._find_problem()
        if found is not self._noted:
            self._noted = found
            self._log(found)
        return found

    @property
    def is_missing(self) -> bool:
        """Whether the folder that the database has opened is gone, or another is in its place."""
        if self._identity is None:
            return False
        try:
            status = self._storage.stat()
        except OSError:
            return True
        return stat.S_ISDIR(status.st_mode) and self._identity != (status.st_dev, status.st_ino)

    @property
    def can_start(self) -> bool:
        """Whether a database that is started now can work with what it was given."""
        try:
            return not self.is_missing and self._free(self._storage) >= START_BYTES
        except OSError:
            return False

    def _find_problem(self) -> DiskProblem | None:
        try:
            if self.is_missing:
                return DiskProblem.MISSING
            if self._identity and self._free(self._storage) < self._min_free_bytes:
                return DiskProblem.FULL
        except OSError:
            return DiskProblem.MISSING
        return None

    def _log(self, found: DiskProblem | None) -> None:
        if found is DiskProblem.FULL:
            megabytes = self._min_free_bytes // MEGABYTE
            logger.error(
                "less than %d MB are free for %s (MIN_FREE_DISK_MB): requests that write get a "
                "503 until there is room again",
                megabytes,
                self._storage,
            )
        elif found is DiskProblem.MISSING:
            logger.error(
                "%s is gone or was replaced: requests that write get a 503. Put the same folder "
                "back, or stop the server, restore a backup and start it again",
                self._storage,
            )
        else:
            logger.warning("%s can be written again", self._storage)


def _own_paths(folder: Path) -> Iterator[Path]:
    for name in OWN_FILES:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            yield from path.rglob("*")
        if os.path.lexists(path):
            yield path


def _has_owners() -> bool:
    # Windows has access lists instead, which a new folder takes from the one around it.
    return hasattr(os, "geteuid")
