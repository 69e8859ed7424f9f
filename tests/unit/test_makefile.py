"""`make run` finds a working interpreter, also behind a version manager."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("python3.13", "python3.12", "python3.11", "python3", "python")
BROKEN_SHIM = "#!/bin/sh\necho \"pyenv: version '3.12' is not installed\" >&2\nexit 1\n"
NO_PIP = f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"\n'

pytestmark = pytest.mark.needs("make")


def chosen(path: Path, pyenv: Path) -> str:
    """Return the interpreter that the Makefile chooses with this PATH."""
    result = subprocess.run(
        ["make", "--silent", "--eval", 'chosen: ; @echo "$(PYTHON)"', "chosen"],
        cwd=ROOT,
        env={"PATH": f"{path}:/nowhere", "PYENV_ROOT": str(pyenv), "HOME": str(pyenv)},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.strip()


@pytest.fixture
def shims(tmp_path: Path) -> Path:
    """A folder for PATH with interpreters that do not work."""
    folder = tmp_path / "shims"
    folder.mkdir()
    # With this PATH, make finds only these and the programs it needs.
    for program in ("make", "sh"):
        (folder / program).symlink_to(f"/usr/bin/{program}")
    for name in NAMES:
        write(folder / name, BROKEN_SHIM)
    return folder


def write(script: Path, text: str) -> None:
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(text)
    script.chmod(0o755)


def test_a_broken_shim_is_skipped(shims: Path, tmp_path: Path) -> None:
    working = shims / "python3.11"
    working.unlink()
    working.symlink_to(sys.executable)

    assert chosen(shims, tmp_path) == "python3.11"


def test_a_version_of_pyenv_is_found_behind_broken_shims(shims: Path, tmp_path: Path) -> None:
    python = tmp_path / "versions" / "3.11.7" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)

    assert chosen(shims, tmp_path) == str(python)


def test_an_interpreter_without_pip_is_skipped(shims: Path, tmp_path: Path) -> None:
    write(shims / "python3.12", NO_PIP)
    (shims / "python3").unlink()
    (shims / "python3").symlink_to(sys.executable)

    assert chosen(shims, tmp_path) == "python3"


def test_nothing_is_chosen_if_no_interpreter_works(shims: Path, tmp_path: Path) -> None:
    assert chosen(shims, tmp_path) == ""


def test_a_version_file_does_not_break_the_shims_of_other_versions() -> None:
    assert not (ROOT / ".python-version").exists()
