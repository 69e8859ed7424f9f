"""The data folder: who may read it, and the secrets in it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO
# The files that the server writes into the folder. It leaves all others alone.
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

    Raises OSError; FolderRefused if it belongs to another user and is open to others.
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
    """Close the server's files to other users: earlier versions left them readable."""
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
    """Return the secret in a file, and make one if there is none; raise OSError."""
    if not path.exists() or not path.read_text().strip():
        # A draft is written first and then linked into place. Two servers that start at once, or
        # one killed half way, leave neither an empty secret nor two different ones.
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


def _own_paths(folder: Path) -> Iterator[Path]:
    for name in OWN_FILES:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            yield from path.rglob("*")
        if os.path.lexists(path):
            yield path


def _has_owners() -> bool:
    # Windows uses access lists instead, which a new folder inherits.
    return hasattr(os, "geteuid")
