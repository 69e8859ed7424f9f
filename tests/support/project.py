"""A copy of the project, with its own .env file."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.server import ROOT


def copy_project(folder: Path) -> Path:
    """Copy the program into `folder`."""
    folder.mkdir()
    for module in ROOT.glob("*.py"):
        shutil.copy(module, folder)
    # Copies, not links: the program finds its project folder by its own path.
    for package in ("app", "embedded_db"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    return folder
