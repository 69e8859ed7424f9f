"""What the checks of `doctor` find."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, with a remedy if it is a fault."""

    ok: bool
    found: str
    remedy: str = ""
