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
    # A copy, no link: its own place tells where the project is.
    shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
    return folder
