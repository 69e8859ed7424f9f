"""A crowd: 100,000 active trades, made once and kept, for they take a minute or two to write."""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from app import models
from app.database import indexes
from benchmarks.support import books, world

USERS = 1_000
TRADES = 100_000
KEPT = Path(__file__).parents[1] / ".cache"


def crowd() -> Path:
    """Return a data folder with TRADES active trades in ^NSEI of `user0` to `user999`.

    Give it to `world(copy_of=...)`, or copy it: a server changes what it is started on.
    """
    return kept("crowd", _write, inspect.getsource(_levels), f"{USERS} {TRADES}")


def kept(name: str, write: Callable[[world.World], object], *parts: str) -> Path:
    """Return a data folder that `write` has filled, now or in an earlier run.

    It is written again if one of the `parts` changes, the models, or the database's version.
    """
    folder = KEPT / f"{name}-{_fingerprint(parts)}"
    KEPT.mkdir(exist_ok=True)
    # A second process waits here for what the first one writes.
    with FileLock(KEPT / "lock"):
        if not folder.exists():
            print(f" (writing {TRADES:,} trades once)", end="", file=sys.stderr, flush=True)
            for earlier in KEPT.glob(f"{name}-*"):
                shutil.rmtree(earlier)
            _keep(folder, write)
    return folder


def _keep(folder: Path, write: Callable[[world.World], object]) -> None:
    with world.world() as here:
        write(here)
        here.release_database()
        # Moved as a whole: a run that was interrupted leaves none that is half written.
        draft = KEPT / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(here.data_dir, draft)
        draft.rename(folder)


def _write(here: world.World) -> None:
    users = books.seed_users(here, USERS)
    books.seed_trades(here, users, TRADES // USERS, levels=_levels)


def _levels(position: int) -> books.BothLevels:
    """Return the levels of a trade: every third has no target, every other third no stop-loss.

    An index holds what has no level before every price, where a careless find would read it.
    """
    stop_loss, target = books.far_apart(position)
    return [(stop_loss, target), (stop_loss, None), (None, target)][position % 3]


def _fingerprint(parts: Sequence[str]) -> str:
    """Return what changes with whatever decides what is in the folder."""
    sources = (indexes, books, models.trade, models.portfolio, models.inbox, models.user)
    sources_of = [inspect.getsource(each) for each in sources]
    return sha256("".join([*sources_of, *parts, version("SecantusDB")]).encode()).hexdigest()[:16]
