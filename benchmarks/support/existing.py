"""Data folders that servers have to themselves: one with a crowd's trades, one with none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.support.books import seed_users
from benchmarks.support.crowd import USERS, crowd
from benchmarks.support.world import World, world
from tests.support.server import ServerProcess


@dataclass(frozen=True, slots=True)
class Existing:
    """Two folders of the same users: `crowded` with 100,000 active trades, `quiet` with none."""

    here: World
    users: list[str]
    crowded: Path
    quiet: Path

    @contextmanager
    def server(self, data_dir: Path, **environment: Any) -> Iterator[ServerProcess]:
        """Run a server with an embedded database of its own in a folder."""
        with self.here.server(MONGO_URI="", DATA_DIR=data_dir, **environment) as server:
            yield server


@contextmanager
def existing() -> Iterator[Existing]:
    """Copy the one folder and write the other; both are removed afterwards."""
    kept = crowd()
    with world() as here:
        users = seed_users(here, USERS)
        here.release_database()
        crowded = here.folder / "crowded"
        shutil.copytree(kept, crowded)
        yield Existing(here, users, crowded=crowded, quiet=here.data_dir)
