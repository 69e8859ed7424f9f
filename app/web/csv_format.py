"""CSV as spreadsheets and programs read it (RFC 4180), one row at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from io import StringIO

from app.web.schemas import format_time

# A spreadsheet takes a text that begins with one of these for a formula, or for the end of a cell.
# The last four are the full-width forms. https://owasp.org/www-community/attacks/CSV_Injection
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def format_row(values: Iterable[object]) -> str:
    """Return a row: amounts with two decimals, times as the API shows them, None as nothing.

    A text that a spreadsheet would run as a formula begins with an apostrophe.
    """
    buffer = StringIO()
    csv.writer(buffer).writerow([_cell(value) for value in values])
    return buffer.getvalue()


def _cell(value: object) -> object:
    match value:
        case Decimal():
            return f"{value:.2f}"
        case datetime():
            return format_time(value)
        case Enum():
            return value.value
        case str() if value.startswith(FORMULA_STARTS):
            return f"'{value}"
        case _:
            return value
