"""The companies of the NIFTY 50: ISINs, sectors, index weights and short names.

`data/companies.csv` has them, with their sources and dates.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files

from app.domain.company import Company

# The column of each index's weights.
_WEIGHTS = {"^NSEI": "nifty_weight", "^BSESN": "sensex_weight", "^NSEBANK": "bank_weight"}


@cache
def companies() -> Mapping[str, Company]:
    """Return the companies by ticker, in the order of the file."""
    text = files("app.market_data").joinpath("data/companies.csv").read_text("utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {row["ticker"]: _company(row) for row in csv.DictReader(lines)}


def _company(row: Mapping[str, str]) -> Company:
    weights = {index: Decimal(row[column]) for index, column in _WEIGHTS.items()}
    return Company(
        isin=row["isin"],
        sector=row["sector"],
        short_names=tuple(filter(None, row["short_names"].split(";"))),
        weights={index: weight for index, weight in weights.items() if weight},
    )
