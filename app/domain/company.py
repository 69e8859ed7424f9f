"""Companies: what is known of the issuer of a share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Company:
    """The issuer of a share. `weights` are per cent of each index that has the share, by symbol."""

    isin: str
    sector: str
    short_names: tuple[str, ...]
    weights: Mapping[str, Decimal]
