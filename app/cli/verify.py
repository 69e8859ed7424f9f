"""`flask --app run verify TRADE_ID`: derive a trade again from its evidence."""

from __future__ import annotations

from collections.abc import Iterator

import click
from flask.cli import with_appcontext

from app.cli.tables import table
from app.database import object_id
from app.domain.money import format_rupees
from app.domain.trade import TradeStatus, has_ended_on_arrival
from app.domain.verification import Record, Step, verify, verify_margin
from app.models import Trade
from app.services import services


@click.command("verify")
@click.argument("trade_id")
@with_appcontext
def verify_trade(trade_id: str) -> None:
    """Derive each price, margin and P&L of a trade from its evidence; exit 1 on a difference."""
    trade = _find(trade_id)
    for line in _described(trade):
        click.echo(line)
    steps = _derive(trade)
    rows = [(step.name, step.reason, step.derived, step.recorded, _verdict(step)) for step in steps]
    click.echo(table(("step", "derivation", "derived", "recorded", ""), rows))
    wrong = sum(not step.agrees for step in steps)
    if wrong:
        click.echo(f"{wrong} of {len(steps)} steps differ.")
        raise SystemExit(1)
    click.echo(f"All {len(steps)} steps agree with what is recorded.")


def _described(trade: Trade) -> Iterator[str]:
    what = f"{trade.trade_type} {trade.terms.quantity} {trade.symbol}"
    yield f"{what} of {trade.user_id} is {trade.status}."
    order, bracket = trade.order, trade.bracket
    if order and bracket is None:
        price = order.waiting_price
        at = "" if price is None else f" at {format_rupees(price)}"
        why = f": {trade.end_reason}" if trade.end_reason else ""
        yield f"Its {order.order_type} order{at} has no fill{why}."
    if model := trade.model:
        seed = f"the seed of trade {trade.number} in {trade.portfolio} is {model.seed}"
        yield f"Its fill profile is {model.profile}: {seed}."
    if trade.rest_id:
        yield f"{trade.ordered_quantity} were ordered; trade {trade.rest_id} is the rest."
    if trade.split_from:
        yield f"It is the rest of the order of trade {trade.split_from}: its seed follows from it."
    if trade.oco_id:
        yield f"The other order of its pair is {trade.oco_id}."
    if bracket and trade.status is TradeStatus.ACTIVE and bracket.exited:
        yield f"{bracket.open_quantity} of {bracket.quantity} are still held."


def _derive(trade: Trade) -> list[Step]:
    order = trade.order
    if trade.bracket is None:
        at_once = has_ended_on_arrival(trade.end_reason, trade.version)
        margin = trade.margin_used
        return [verify_margin(order, margin, ended_on_arrival=at_once)] if order else []
    # A market order does not store the rate: it is that of the configuration.
    rate = order.margin_rate if order else services().settings.margin_rate
    record = Record(
        brackets=[trade.entered_as, *map(trade.held_at, range(len(trade.exits)))],
        adjustments=[each for each in trade.adjustments if each.is_of_bracket],
        order=order,
        fills=trade.fills,
        pnl=trade.pnl,
        margin_used=trade.margin_used,
        margin_rate=rate,
        ordered=trade.ordered_quantity if trade.rest_id else None,
    )
    return list(verify(record))


def _verdict(step: Step) -> str:
    return "ok" if step.agrees else step.flaw or "DIFFERS"


def _find(trade_id: str) -> Trade:
    id = object_id(trade_id)
    trade = Trade.find(id) if id else None
    if trade is None:
        raise click.ClickException(f"There is no trade {trade_id!r}.")
    return trade
