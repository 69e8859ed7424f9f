"""The disk of the data folder: whether the database may write to it now."""

from __future__ import annotations

import logging
import shutil
import stat
from collections.abc import Callable
from enum import Enum
from pathlib import Path

logger = logging.getLogger("paper_trading")

MEGABYTE = 1024 * 1024
# Free bytes that the database needs to start and to write.
MIN_START_BYTES = 4 * MEGABYTE


def free_bytes(folder: Path) -> int:
    """Return how many bytes this user may still write to the folder's disk; raise OSError."""
    return shutil.disk_usage(folder).free


class DiskProblem(Enum):
    FULL = "disk_full"
    MISSING = "data_folder_missing"


class Disk:
    """The disk under the storage of a data folder.

    `free` returns how many bytes may still be written; tests pass their own.
    """

    def __init__(
        self, folder: Path, min_free_bytes: int = 0, free: Callable[[Path], int] = free_bytes
    ) -> None:
        self._storage = folder.resolve() / "database"
        self._min_free_bytes = min_free_bytes
        self._free = free
        self._identity: tuple[int, int] | None = None
        self._logged: DiskProblem | None = None

    def remember_storage(self) -> None:
        """Remember which folder the database has opened, to notice a replacement later."""
        status = self._storage.stat()
        self._identity = (status.st_dev, status.st_ino)

    def problem(self) -> DiskProblem | None:
        """Return why nothing should be written now; log it when that changes."""
        problem = self._find_problem()
        if problem is not self._logged:
            self._logged = problem
            self._log(problem)
        return problem

    @property
    def is_missing(self) -> bool:
        """Whether the folder that the database has opened is gone or was replaced."""
        if self._identity is None:
            return False
        try:
            status = self._storage.stat()
        except OSError:
            return True
        return stat.S_ISDIR(status.st_mode) and self._identity != (status.st_dev, status.st_ino)

    @property
    def can_start(self) -> bool:
        """Whether a database started now finds its storage and room to write."""
        try:
            return not self.is_missing and self._free(self._storage) >= MIN_START_BYTES
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

    def _log(self, problem: DiskProblem | None) -> None:
        if problem is DiskProblem.FULL:
            logger.error(
                "less than %d MB are free for %s (MIN_FREE_DISK_MB): requests that write get a "
                "503 until there is room again",
                self._min_free_bytes // MEGABYTE,
                self._storage,
            )
        elif problem is DiskProblem.MISSING:
            logger.error(
                "%s is gone or was replaced: requests that write get a 503. Put the same folder "
                "back, or stop the server, restore a backup and start it again",
                self._storage,
            )
        else:
            logger.warning("%s can be written again", self._storage)
