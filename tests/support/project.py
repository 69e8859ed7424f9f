"""A copy of the project, to have a .env file of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.server import ROOT


def copy_project(folder: Path) -> Path:
    """Copy what is run into `folder`; the application itself is linked."""
    folder.mkdir()
    for module in ROOT.glob("*.py"):
        shutil.copy(module, folder)
    (folder / "app").symlink_to(ROOT / "app")
    return folder
