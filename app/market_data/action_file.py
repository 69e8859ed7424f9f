"""Files of corporate actions: CSV with a line for each.

    symbol,ex_date,kind,ratio,amount
    RELIANCE.NS,2026-12-01,bonus,1:1,
    TCS.NS,2026-12-03,split,5:1,
    INFY.NS,2026-12-04,dividend,,18.50
    ITC.NS,2026-12-07,demerger,,

A split of 5:1 makes five units of each one, a bonus of 3:2 adds three units to each two.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from app.domain.corporate_actions import ActionKind, CorporateAction, Ratio
from app.domain.money import MAX_PRICE, is_whole_paise
from app.market_data.calendar import Session, TradingCalendar
from app.market_data.instruments.registry import Instruments

COLUMNS = ("symbol", "ex_date", "kind", "ratio", "amount")
RATIO = re.compile(r"([1-9]\d{0,4}):([1-9]\d{0,4})")


class ActionFileError(Exception):
    """A file cannot be used. `faults` has a sentence for each line at fault."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(self.faults))


def read_actions(
    path: Path, instruments: Instruments, calendar: TradingCalendar
) -> list[CorporateAction]:
    """Return the actions of a file; raise ActionFileError, or OSError if it cannot be read."""
    faults: list[str] = []
    actions: dict[str, CorporateAction] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        try:
            if missing := set(COLUMNS[:3]) - set(rows.fieldnames or ()):
                raise ActionFileError([f"the first line lacks {', '.join(sorted(missing))}"])
            for row in rows:
                try:
                    action = _read(row, instruments, calendar.ordinary_session)
                    if actions.setdefault(action.id, action) != action:
                        raise ValueError(f"{action.id} is in the file twice, and differs")
                except ValueError as error:
                    faults.append(f"line {rows.line_num}: {error}")
        except (csv.Error, UnicodeDecodeError) as error:
            raise ActionFileError([f"line {rows.line_num}: {error}"]) from None
    if faults:
        raise ActionFileError(faults)
    return list(actions.values())


def _read(
    row: Mapping[str, str | None],
    instruments: Instruments,
    session_on: Callable[[date], Session],
) -> CorporateAction:
    """Return the action of a row; raise ValueError with what is wrong."""
    values = {name: (row.get(name) or "").strip() for name in COLUMNS}
    instrument = instruments.find(values["symbol"])
    if instrument is None:
        raise ValueError(f"there is no symbol {values['symbol']!r}")
    if instrument.is_index:
        raise ValueError(f"{instrument.symbol} is an index, which has no corporate actions")
    try:
        kind = ActionKind(values["kind"].lower())
    except ValueError:
        raise ValueError(f"kind must be one of {', '.join(ActionKind)}") from None
    try:
        ex_date = date.fromisoformat(values["ex_date"])
    except ValueError:
        raise ValueError("ex_date must be a date such as 2026-12-01") from None
    session = session_on(ex_date)
    return CorporateAction(
        symbol=instrument.symbol,
        ex_date=ex_date,
        kind=kind,
        pre_open=session.pre_open,
        opens_at=session.open,
        ratio=parse_ratio(kind, values["ratio"]),
        amount=parse_amount(kind, values["amount"]),
    )


def parse_ratio(kind: ActionKind, text: str) -> Ratio | None:
    """Return the ratio of an action, None if its kind has none; raise ValueError."""
    if not kind.changes_units:
        return None
    match = RATIO.fullmatch(text)
    if match is None:
        raise ValueError(f"a {kind} needs a ratio such as 1:1, new units before old ones")
    ratio = Ratio(int(match[1]), int(match[2]))
    if kind is ActionKind.SPLIT and ratio.new == ratio.old:
        raise ValueError("a split of equal numbers changes nothing")
    return ratio


def parse_amount(kind: ActionKind, text: str) -> Decimal | None:
    """Return the rupees that a dividend pays, None for other kinds; raise ValueError."""
    if kind is not ActionKind.DIVIDEND:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or not 0 < amount <= MAX_PRICE or not is_whole_paise(amount):
        raise ValueError("a dividend needs an amount in rupees and whole paise for each unit")
    return amount
