"""`flask --app run verify TRADE_ID`: derive a trade again from its evidence."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from app.cli.tables import table
from app.database import object_id
from app.domain.verification import Record, Step, verify
from app.models import Trade
from app.services import services


@click.command("verify")
@click.argument("trade_id")
@with_appcontext
def verify_trade(trade_id: str) -> None:
    """Derive each price, margin and P&L of a trade from its evidence; exit 1 on a difference."""
    trade = _find(trade_id)
    what = f"{trade.trade_type} {trade.terms.quantity} {trade.symbol}"
    click.echo(f"{what} of {trade.user_id} is {trade.status}.")
    if trade.bracket is None:
        click.echo("It has no fill to verify.")
        return
    # A market order does not store the rate: it is that of the configuration.
    rate = trade.order.margin_rate if trade.order else services().settings.margin_rate
    steps = list(
        verify(
            Record(
                bracket=trade.bracket,
                order=trade.order,
                fills=trade.fills,
                pnl=trade.pnl,
                margin_used=trade.margin_used,
                margin_rate=rate,
            )
        )
    )
    rows = [(step.name, step.reason, step.derived, step.recorded, _verdict(step)) for step in steps]
    click.echo(table(("step", "derivation", "derived", "recorded", ""), rows))
    wrong = sum(not step.agrees for step in steps)
    if wrong:
        click.echo(f"{wrong} of {len(steps)} steps differ.")
        raise SystemExit(1)
    click.echo(f"All {len(steps)} steps agree with what is recorded.")


def _verdict(step: Step) -> str:
    return "ok" if step.agrees else step.flaw or "DIFFERS"


def _find(trade_id: str) -> Trade:
    id = object_id(trade_id)
    trade = Trade.find(id) if id else None
    if trade is None:
        raise click.ClickException(f"There is no trade {trade_id!r}.")
    return trade
