"""What to say of an unknown name: what was probably meant, and what is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches


def closest(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that `name` probably stands for, None if none is alike."""
    plain = {_plain(each): each for each in known}
    wanted = _plain(name[:80])
    if alike := get_close_matches(wanted, plain, n=1, cutoff=0.6):
        return plain[alike[0]]
    return next((each for part, each in plain.items() if wanted in part.split("_")), None)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return the question for the closest known name, as the end of a sentence; '' if none is."""
    meant = closest(name, known)
    return f"; did you mean {meant}?" if meant else ""


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them: a, b or c."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _plain(name: str) -> str:
    # stopLoss, stop-loss and StopLoss are stop_loss.
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s-]+", "_", words).lower()
