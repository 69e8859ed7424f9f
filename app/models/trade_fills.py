"""The executions of a trade, as its fields describe them."""

from __future__ import annotations

from datetime import datetime

from app.domain.bracket import Bracket
from app.domain.fill import Exit, Fill, FillKind
from app.domain.fill_profile import FillModel
from app.domain.quote import Quote


def entry_fill(symbol: str, bracket: Bracket, time: datetime) -> Fill:
    """Return the fill that opened a bracket, written at the time."""
    price = bracket.entry_quote_price or bracket.entry_price
    return Fill(
        kind=FillKind.ENTRY,
        quantity=bracket.quantity,
        price=bracket.entry_price,
        time=time,
        quote=Quote(symbol, price, bracket.entry_source, bracket.entry_timestamp),
        rule=bracket.entry_rule,
        settled_from=bracket.entry_settled_from,
        model=bracket.model,
        slip=bracket.entry_slippage,
    )


def exit_fill(exit: Exit, time: datetime, model: FillModel | None) -> Fill:
    """Return the fill of an exit of a trade with a fill model, written at the time."""
    return Fill(
        kind=FillKind.EXIT,
        quantity=exit.quantity,
        price=exit.price,
        time=time,
        quote=exit.quote,
        rule=exit.rule,
        reason=exit.reason,
        pnl=exit.pnl,
        settled_from=exit.settled_from,
        best=exit.best,
        model=model,
        slip=exit.slippage,
    )
