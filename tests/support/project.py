"""A copy of the project, to have a .env file of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.server import ROOT


def copy_project(folder: Path) -> Path:
    """Copy what is run into `folder`."""
    folder.mkdir()
    for module in ROOT.glob("*.py"):
        shutil.copy(module, folder)
    # Copies, no links: the application finds the project by the place of its own files.
    for package in ("app", "embedded_db"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    return folder
