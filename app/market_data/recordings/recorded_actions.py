"""Corporate actions in a recording: in the row of the first tick after each.

    bonus 1:1 2026-12-01T09:15:00+05:30 2026-12-01T09:00:00+05:30
    dividend 18.50 2026-12-04T09:15:00+05:30

The kind, its ratio or the rupees it pays for each unit, when prices have begun to follow it, and
when the pre-open session before that began, if there was one. Several are divided by a semicolon.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from app.domain.candle import IST
from app.domain.corporate_actions import ActionKind, CorporateAction
from app.market_data.action_file import parse_amount, parse_ratio


def format_actions(actions: Iterable[CorporateAction]) -> str:
    """Return the field of actions of one symbol, empty for none."""
    return "; ".join(map(_format, actions))


def parse_actions(symbol: str, text: str) -> list[CorporateAction]:
    """Return the actions of a field; raise ValueError with what is wrong."""
    return [_parse(symbol, part.split()) for part in text.split(";") if part.strip()]


def _format(action: CorporateAction) -> str:
    terms = [action.kind.value]
    if action.kind.changes_units:
        terms.append(str(action.ratio))
    elif action.amount is not None:
        terms.append(f"{action.amount:f}")
    times = [action.opens_at]
    if action.pre_open != action.opens_at:
        times.append(action.pre_open)
    return " ".join([*terms, *(time.astimezone(IST).isoformat() for time in times)])


def _parse(symbol: str, words: list[str]) -> CorporateAction:
    kind = ActionKind(words[0].lower())
    terms = "" if kind.reorganizes or len(words) < 2 else words[1]
    times = [datetime.fromisoformat(word) for word in words[1 if kind.reorganizes else 2 :]]
    if not 1 <= len(times) <= 2 or any(time.tzinfo is None for time in times):
        raise ValueError(f"a {kind} needs the time of its open, with its zone")
    return CorporateAction(
        symbol=symbol,
        ex_date=times[0].astimezone(IST).date(),
        kind=kind,
        pre_open=times[-1].astimezone(UTC),
        opens_at=times[0].astimezone(UTC),
        ratio=parse_ratio(kind, terms),
        amount=parse_amount(kind, terms),
    )
