"""Suggestions for an unknown name: the closest known one, and a list of all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches


def closest(name: str, known: Sequence[str]) -> str | None:
    """Return the known name closest to `name`, None if none is similar."""
    plain = {_plain(name): name for name in known}
    wanted = _plain(name[:80])
    if matches := get_close_matches(wanted, plain, n=1, cutoff=0.6):
        return plain[matches[0]]
    return next((name for part, name in plain.items() if wanted in part.split("_")), None)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return the end of a sentence that suggests the closest known name, '' if there is none."""
    meant = closest(name, known)
    return f"; did you mean {meant}?" if meant else ""


def listed(names: Sequence[str]) -> str:
    """Return names as in a sentence: a, b or c."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _plain(name: str) -> str:
    # stopLoss, stop-loss and StopLoss are stop_loss.
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s-]+", "_", words).lower()
