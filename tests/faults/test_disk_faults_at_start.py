"""A data folder that cannot be written, or a disk that is full, as the server starts.

What is read-only or full here is so for an ordinary user and for root, with or without the
right to mount: root lets go of its power over file modes, and a limit on the size of files
stands for a disk without room.
"""

from __future__ import annotations

import ctypes
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import ROOT, ServerProcess

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE = 1
END_SECONDS = 60


def obey_file_modes() -> None:
    """Have the program that is started next obey file modes, also as root."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def limit_files_to(size: int) -> Callable[[], None]:
    """Return what keeps every file from growing beyond `size` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def end_of_start(server: ServerProcess, preexec: Callable[[], None]) -> tuple[int, str]:
    """Start a server that cannot start; return its exit status and output."""
    ended = subprocess.run(
        [sys.executable, str(ROOT / "run.py")],
        cwd=server.folder,
        env=server.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=END_SECONDS,
        check=False,
        preexec_fn=preexec,
    )
    return ended.returncode, ended.stdout


def assert_refused(server: ServerProcess, preexec: Callable[[], None]) -> str:
    status, said = end_of_start(server, preexec)
    assert status == 2, said
    assert "DATA_DIR: " in said
    assert str(server.folder) in said
    assert "Traceback" not in said
    return said


@pytest.fixture
def used_folder(make_server: Callable[..., ServerProcess]) -> ServerProcess:
    """A server that ran once, so that its folder holds all it needs."""
    server = make_server()
    server.start()
    server.stop()
    return server


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Make folders read-only; let the test's end remove them."""
    made: list[Path] = []

    def make(folder: Path) -> None:
        for each in [folder, *folder.rglob("*")]:
            made.append(each)
            each.chmod(0o555 if each.is_dir() else 0o444)

    yield make
    for each in made:
        each.chmod(0o755)


def test_a_folder_that_cannot_be_made(
    make_server: Callable[..., ServerProcess], read_only: Callable[[Path], None]
) -> None:
    server = make_server()
    read_only(server.folder)

    assert "Permission denied" in assert_refused(server, obey_file_modes)


def test_a_file_where_the_folder_should_be(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server()
    (server.folder / "data").write_text("not a folder")

    assert_refused(server, lambda: None)


def test_a_folder_turned_read_only(
    used_folder: ServerProcess, read_only: Callable[[Path], None]
) -> None:
    read_only(used_folder.folder / "data")

    assert "Permission denied" in assert_refused(used_folder, obey_file_modes)


def test_a_disk_without_room_at_the_first_start(make_server: Callable[..., ServerProcess]) -> None:
    server = make_server()

    assert_refused(server, limit_files_to(0))
    # With room again it starts, on nothing half written.
    server.start()
    assert [each.name for each in (server.folder / "data").glob("*secret_key.*")] == []


def test_a_disk_without_room_at_a_later_start(used_folder: ServerProcess) -> None:
    said = assert_refused(used_folder, limit_files_to(0))

    assert len(said.splitlines()) < 12
    used_folder.start()
