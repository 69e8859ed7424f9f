"""What can be traded: the indices and the NIFTY 50 shares on both exchanges, and their names."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files

from app.domain.errors import InvalidRequest, NotFound

DEFAULT_INDICES = ("^NSEI", "^BSESN")

_ALIASES = {
    "NIFTY": "^NSEI",
    "NIFTY50": "^NSEI",
    ".NSEI": "^NSEI",
    "NSEI": "^NSEI",
    "SENSEX": "^BSESN",
    ".BSESN": "^BSESN",
    "BSESN": "^BSESN",
    "BANKNIFTY": "^NSEBANK",
    ".NSEBANK": "^NSEBANK",
    "NSEBANK": "^NSEBANK",
}


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable symbol. `tick_size` and `base_price` are rupees.

    `base_price` is where the simulated market starts; `angel_token` is what Angel One's API
    knows the instrument by, on the given exchange.
    """

    symbol: str
    name: str
    exchange: str
    tick_size: Decimal
    lot_size: int
    angel_token: str
    base_price: Decimal


class Instruments:
    """The instruments by symbol, with the other names people give them."""

    def __init__(self, instruments: list[Instrument]) -> None:
        self._by_symbol = {each.symbol: each for each in instruments}

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_symbol.values())

    def __len__(self) -> int:
        return len(self._by_symbol)

    def find(self, name: str) -> Instrument | None:
        """Return the instrument of a symbol or alias in any case, or None."""
        symbol = name.strip().upper().replace("%5E", "^")
        symbol = _ALIASES.get(symbol, symbol)
        return self._by_symbol.get(symbol) or self._by_symbol.get(f"{symbol}.NS")

    def get(self, name: str) -> Instrument:
        """Return the instrument of a symbol or alias; raise NotFound for any other name."""
        instrument = self.find(name)
        if instrument is None:
            raise NotFound(
                f"There is no symbol {name[:40]!r}. GET /market/symbols lists them all.",
                code="unknown_symbol",
            )
        return instrument

    def get_ordered(self, name: str) -> Instrument:
        """Return the instrument that an order or a filter names; InvalidRequest for none."""
        try:
            return self.get(name)
        except NotFound as error:
            raise InvalidRequest(
                error.message, code=error.code, details={"symbol": "is not a known symbol"}
            ) from None

    def search(self, text: str) -> list[Instrument]:
        """Return the instruments whose symbol or name holds `text`; all of them for ''."""
        wanted = text.strip().upper()
        exact = self.find(text)
        return [
            each
            for each in self
            if each is exact or wanted in each.symbol or wanted in each.name.upper()
        ]


@cache
def load_instruments() -> Instruments:
    """Read the data file that ships with the application."""
    text = files("app.market_data").joinpath("data/instruments.csv").read_text(encoding="utf-8")
    return Instruments(
        [
            Instrument(
                symbol=row["symbol"],
                name=row["name"],
                exchange=row["exchange"],
                tick_size=Decimal(row["tick_size"]),
                lot_size=int(row["lot_size"]),
                angel_token=row["angel_token"],
                base_price=Decimal(row["base_price"]),
            )
            for row in csv.DictReader(text.splitlines())
        ]
    )
