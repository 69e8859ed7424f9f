"""A crowd: 100,000 active trades, made once and kept, for they take a minute or two to write."""

from __future__ import annotations

import inspect
import shutil
import sys
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
    folder = KEPT / _fingerprint()
    KEPT.mkdir(exist_ok=True)
    # A second process waits here for what the first one writes.
    with FileLock(KEPT / "lock"):
        if not folder.exists():
            print(f" (writing {TRADES:,} trades once)", end="", file=sys.stderr, flush=True)
            _remove_earlier()
            _write(folder)
    return folder


def _remove_earlier() -> None:
    for folder in KEPT.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)


def _write(folder: Path) -> None:
    with world.world() as here:
        users = books.seed_users(here, USERS)
        books.seed_trades(here, users, TRADES // USERS, levels=_levels)
        here.release_database()
        # Moved as a whole: a run that was interrupted leaves none that is half written.
        draft = KEPT / "draft"
        shutil.copytree(here.data_dir, draft)
        draft.rename(folder)


def _levels(position: int) -> books.BothLevels:
    """Return the levels of a trade: every third has no target, every other third no stop-loss.

    An index holds what has no level before every price, where a careless find would read it.
    """
    stop_loss, target = books.far_apart(position)
    return [(stop_loss, target), (stop_loss, None), (None, target)][position % 3]


def _fingerprint() -> str:
    """Return what changes with whatever decides what is in the folder."""
    sources = (indexes, books, models.trade, models.portfolio, models.inbox, models.user)
    parts = [inspect.getsource(each) for each in sources] + [inspect.getsource(_levels)]
    return sha256(
        "".join([*parts, version("SecantusDB"), f"{USERS} {TRADES}"]).encode()
    ).hexdigest()[:16]
