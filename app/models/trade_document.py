"""Documents of trades: their flat fields, and the objects of the domain that they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from app.database import Document
from app.domain.bracket import Bracket
from app.domain.entry import EntryOrder, MarginBasis
from app.domain.fill import Exit, ExitReason, FillRule, PricePoint, QueuedExit
from app.domain.fill_profile import FillModel, FillProfile, Slippage
from app.domain.money import ZERO
from app.domain.order import OrderType, TimeInForce
from app.domain.placement import Placement
from app.domain.quote import Posting, Quote, Source
from app.domain.side import TradeType
from app.domain.trailing import Start, TrailingStop, TrailingTerms, Unit
from app.domain.triggers import SettledFrom

NO_TRAILING_STOP: Document = dict.fromkeys(
    (
        *("trailing_offset", "trailing_pct", "trailing_step", "trailing_tick_size"),
        *("trailing_start", "trail_unit", "trail"),
    )
)


def order_fields(order: EntryOrder) -> Document:
    """Return the fields of an entry order."""
    placed = order.placed
    return {
        "trade_type": order.trade_type.value,
        "quantity": order.quantity,
        "order_type": order.order_type.value,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "time_in_force": order.time_in_force.value,
        "expires_at": order.expires_at,
        "queued_for": order.queued_for.isoformat() if order.queued_for else None,
        "triggered_at": order.triggered_at,
        "margin_rate": order.margin_rate,
        **({"margin_basis": asdict(order.margin_basis)} if order.margin_basis else {}),
        **({"split_at": order.split_at} if order.split_at else {}),
        "placed_price": placed.price,
        "placed_source": placed.source.value,
        "placed_timestamp": placed.timestamp,
        "placed_posting": _posting_field(placed.posting),
        **level_fields(order),
    }


def pending_fields(order: EntryOrder) -> Document:
    """Return the fields that a trade has only while it is pending: the time to end it."""
    return {"pending_until": order.ends_at} if order.ends_at else {}


def placement_fields(placement: Placement, time: datetime) -> Document:
    """Return the entry and the first status of a trade whose order was placed at a time."""
    status = placement.status
    fields = order_fields(placement.order) if placement.order else {}
    if placement.bracket:
        fields |= bracket_fields(placement.bracket)
    if model := placement.entry.model:
        fields["fill_model"] = asdict(model) | {"profile": model.profile.value}
    fields |= {"status": status.value, "waiting": status.is_open}
    if placement.end_reason is not None:
        return fields | {"closed_at": time, "end_reason": placement.end_reason.value}
    return fields if placement.bracket else fields | pending_fields(placement.asked)


def read_order(document: Document) -> EntryOrder | None:
    """Return the entry order, None for a market order that was filled at once."""
    if "order_type" not in document:
        return None
    queued_for = document["queued_for"]
    basis = document.get("margin_basis")
    return EntryOrder(
        trade_type=TradeType(document["trade_type"]),
        # Of a trade that was filled in part, `quantity` is the part.
        quantity=document.get("ordered_quantity") or document["quantity"],
        order_type=OrderType(document["order_type"]),
        placed=Quote(
            document["symbol"],
            document["placed_price"],
            Source(document["placed_source"]),
            document["placed_timestamp"],
            _posting(document["placed_posting"]),
        ),
        margin_rate=document["margin_rate"],
        limit_price=document["limit_price"],
        stop_price=document["stop_price"],
        time_in_force=TimeInForce(document["time_in_force"]),
        expires_at=document["expires_at"],
        queued_for=date.fromisoformat(queued_for) if queued_for else None,
        triggered_at=document["triggered_at"],
        stop_loss=document["stop_loss"],
        target_price=document["target_price"],
        trailing=read_trailing_terms(document),
        margin_basis=MarginBasis(**basis) if basis else None,
        model=_read_model(document.get("fill_model")),
        split_at=document.get("split_at"),
    )


def bracket_fields(bracket: Bracket) -> Document:
    """Return the fields of an entry and its levels."""
    return {
        "trade_type": bracket.trade_type.value,
        "quantity": bracket.quantity,
        "entry_price": bracket.entry_price,
        "entry_source": bracket.entry_source.value,
        "entry_timestamp": bracket.entry_timestamp,
        "entry_posting": _posting_field(bracket.entry_posting),
        "entry_rule": bracket.entry_rule.value if bracket.entry_rule else None,
        "entry_quote_price": bracket.entry_quote_price,
        "entry_settled_from": _value(bracket.entry_settled_from),
        **({"entry_slippage": asdict(slippage)} if (slippage := bracket.entry_slippage) else {}),
        **level_fields(bracket),
        **(trail_fields(trailing) if (trailing := bracket.trailing_stop) else {}),
    }


def modified_fields(terms: Bracket | EntryOrder) -> Document:
    """Return the fields of terms that the user changed."""
    if isinstance(terms, EntryOrder):
        return NO_TRAILING_STOP | {"margin_basis": None} | order_fields(terms)
    start = terms.trailing_start
    return {
        **NO_TRAILING_STOP,
        **level_fields(terms),
        **(trail_fields(trailing) if (trailing := terms.trailing_stop) else {}),
        "trailing_start": _start_fields(start) if start else None,
        "levels_since": _quote_fields(terms.levels_since),
        "exit_queued": _queued_exit_fields(terms.exit_queued),
    }


def level_fields(waiting: Bracket | EntryOrder) -> Document:
    """Return the protective levels, and the prices that something waits for."""
    return {
        "stop_loss": waiting.stop_loss,
        "target_price": waiting.target_price,
        "trigger_below": waiting.trigger_below,
        "trigger_above": waiting.trigger_above,
        **(trailing_fields(waiting.trailing) if waiting.trailing else {}),
    }


def trail_fields(stop: TrailingStop) -> Document:
    """Return the fields by which a trailing stop is found as soon as a price may fire it.

    `trail` is its distance from the best price, negative for a SELL.
    """
    terms = stop.terms
    return {"trail_unit": terms.unit.value, "trail": terms.distance * stop.trade_type.sign}


def read_trailing_stop(document: Document) -> TrailingStop | None:
    """Return the trailing stop of a trade that was entered."""
    terms = read_trailing_terms(document)
    if terms is None or document.get("entry_price") is None:
        return None
    return TrailingStop(TradeType(document["trade_type"]), terms, _trailing_start(document))


def read_trailing_terms(document: Document) -> TrailingTerms | None:
    """Return the terms of a trailing stop, None if there is none."""
    offset, percent = document.get("trailing_offset"), document.get("trailing_pct")
    distance = percent if offset is None else offset
    if distance is None:
        return None
    return TrailingTerms(
        unit=Unit.PERCENT if offset is None else Unit.RUPEES,
        distance=distance,
        step=document["trailing_step"],
        tick_size=document["trailing_tick_size"],
    )


def trailing_fields(terms: TrailingTerms) -> Document:
    """Return the fields of the terms of a trailing stop."""
    is_percent = terms.unit is Unit.PERCENT
    return {
        "trailing_offset": None if is_percent else terms.distance,
        "trailing_pct": terms.distance if is_percent else None,
        "trailing_step": terms.step,
        "trailing_tick_size": terms.tick_size,
    }


def _start_fields(start: Start) -> Document:
    return {
        "price": start.price,
        "source": start.source.value,
        "timestamp": start.timestamp,
        "posting": _posting_field(start.posting),
    }


def _trailing_start(document: Document) -> Start:
    # A stop that was set with the trade follows from its entry.
    if fields := document.get("trailing_start"):
        posting = _posting(fields["posting"])
        return Start(fields["price"], Source(fields["source"]), fields["timestamp"], posting)
    # What the entry lost by slippage is no move of the market.
    slippage = _read_slippage(document.get("entry_slippage"))
    sign = TradeType(document["trade_type"]).sign
    return Start(
        document["entry_price"] - sign * (slippage.amount if slippage else ZERO),
        Source(document["entry_source"]),
        document["entry_timestamp"],
        _posting(document.get("entry_posting")),
    )


def _touched_at(parts: Sequence[Document]) -> datetime | None:
    times = (part["timestamp"] for part in parts if part["reason"] == ExitReason.TARGET.value)
    return max(times, default=None)


def read_bracket(document: Document) -> Bracket | None:
    """Return the bracket of a trade that was entered."""
    if document.get("entry_price") is None:
        return None
    rule, settled_from = document.get("entry_rule"), document.get("entry_settled_from")
    parts = document.get("partial_exits", ())
    return Bracket(
        trade_type=TradeType(document["trade_type"]),
        quantity=document["quantity"],
        entry_price=document["entry_price"],
        entry_source=Source(document["entry_source"]),
        entry_timestamp=document["entry_timestamp"],
        stop_loss=document["stop_loss"],
        target_price=document["target_price"],
        entry_posting=_posting(document.get("entry_posting")),
        entry_rule=FillRule(rule) if rule else None,
        entry_quote_price=document.get("entry_quote_price"),
        entry_settled_from=SettledFrom(settled_from) if settled_from else None,
        exited=sum(part["quantity"] for part in parts),
        touched_at=_touched_at(parts),
        levels_since=_read_quote(document["symbol"], document.get("levels_since")),
        trailing=read_trailing_terms(document),
        trailing_start=_trailing_start(document) if document.get("trailing_start") else None,
        exit_queued=_read_queued_exit(document),
        model=_read_model(document.get("fill_model")),
        entry_slippage=_read_slippage(document.get("entry_slippage")),
    )


def _queued_exit_fields(queued: QueuedExit | None) -> Document | None:
    if queued is None:
        return None
    session, since = queued.session.isoformat(), _quote_fields(queued.since)
    return {"quantity": queued.quantity, "session": session, "since": since}


def _read_queued_exit(document: Document) -> QueuedExit | None:
    if (fields := document.get("exit_queued")) is None:
        return None
    since = _read_quote(document["symbol"], fields["since"])
    assert since is not None
    return QueuedExit(fields["quantity"], date.fromisoformat(fields["session"]), since)


def after_part_fields(bracket: Bracket) -> Document:
    """Return the fields that change with the exit of a part, of which an exit was queued."""
    return {**level_fields(bracket), "exit_queued": None}


def last_exit_fields(exit: Exit) -> Document:
    """Return the fields of the exit that closes a trade, without its P&L."""
    return {f"exit_{name}": value for name, value in _exit_fields(exit).items()} | {
        "settled_from": _value(exit.settled_from)
    }


def partial_exit_fields(exit: Exit, time: datetime) -> Document:
    """Return the document of an exit of a part."""
    return {
        "time": time,
        "quantity": exit.quantity,
        "pnl": exit.pnl,
        "settled_from": _value(exit.settled_from),
        **_exit_fields(exit),
    }


def read_partial_exits(document: Document) -> tuple[tuple[Exit, datetime], ...]:
    """Return the exits of parts, each with the time it was written."""
    return tuple(
        (_read_exit(document["symbol"], part, part["quantity"], part["pnl"]), part["time"])
        for part in document.get("partial_exits", ())
    )


def read_last_exit(document: Document) -> Exit | None:
    """Return the exit that closed a trade; its P&L is that of what was held last."""
    if document.get("exit_reason") is None:
        return None
    parts = document.get("partial_exits", ())
    fields = {name.removeprefix("exit_"): value for name, value in document.items()}
    exited = sum(part["quantity"] for part in parts)
    booked = (*parts, *document.get("adjustments", ()))
    pnl = document["pnl"] - sum((each["pnl"] for each in booked), ZERO)
    return _read_exit(document["symbol"], fields, document["quantity"] - exited, pnl)


def _exit_fields(exit: Exit) -> Document:
    return {
        "reason": exit.reason.value,
        "price": exit.price,
        "rule": _value(exit.rule),
        # The evidence: the quote that caused the exit.
        "quote_price": exit.quote.price,
        "source": exit.quote.source.value,
        "timestamp": exit.quote.timestamp,
        # What a trailing stop had followed.
        **({"best_price": exit.best.price, "best_time": exit.best.time} if exit.best else {}),
        **({"slippage": asdict(exit.slippage)} if exit.slippage else {}),
    }


def _read_exit(symbol: str, fields: Document, quantity: int, pnl: Decimal) -> Exit:
    price, rule = fields["price"], fields.get("rule")
    settled_from = fields.get("settled_from")
    # Earlier versions exited at the price of the quote.
    quote_price = fields.get("quote_price") or price
    return Exit(
        reason=ExitReason(fields["reason"]),
        quote=Quote(symbol, quote_price, Source(fields["source"]), fields["timestamp"]),
        price=price,
        quantity=quantity,
        pnl=pnl,
        rule=FillRule(rule) if rule else None,
        settled_from=SettledFrom(settled_from) if settled_from else None,
        best=PricePoint(best, fields["best_time"]) if (best := fields.get("best_price")) else None,
        slippage=_read_slippage(fields.get("slippage")),
    )


def _quote_fields(quote: Quote | None) -> Document | None:
    if quote is None:
        return None
    return {
        "price": quote.price,
        "source": quote.source.value,
        "timestamp": quote.timestamp,
        "posting": _posting_field(quote.posting),
    }


def _read_quote(symbol: str, fields: Document | None) -> Quote | None:
    if fields is None:
        return None
    source, posting = Source(fields["source"]), _posting(fields["posting"])
    return Quote(symbol, fields["price"], source, fields["timestamp"], posting)


def _posting_field(posting: Posting | None) -> Document | None:
    return asdict(posting) if posting else None


def _posting(fields: Document | None) -> Posting | None:
    return Posting(**fields) if fields else None


def _read_model(fields: Document | None) -> FillModel | None:
    return FillModel(**(fields | {"profile": FillProfile(fields["profile"])})) if fields else None


def _read_slippage(fields: Document | None) -> Slippage | None:
    return Slippage(**fields) if fields else None


def _value(member: Any) -> Any:
    return member.value if member else None
