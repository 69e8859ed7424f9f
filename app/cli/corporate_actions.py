"""`flask --app run corporate-actions`: load splits, bonuses and dividends, and look them up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from flask.cli import AppGroup

from app.cli.tables import table
from app.domain.corporate_actions import ActionKind, CorporateAction
from app.market_data.action_file import ActionFileError, read_actions
from app.models import Portfolio
from app.models.stored_action import StoredAction, find_settled_early
from app.services import now, services

MAX_FAULTS = 20
# Within this time every process has learned that an action is withdrawn.
LEARNED = timedelta(minutes=1)

corporate_actions = AppGroup(
    "corporate-actions", help="Load splits, bonuses and dividends, list and withdraw them."
)


@corporate_actions.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
def load(path: Path) -> None:
    """Load the actions of FILE: a CSV with symbol, ex_date, kind, ratio and amount.

    Running servers know them within seconds. An action is applied once, at the first price of its
    ex-date, or now if that has passed. If a line is wrong, nothing is loaded.
    """
    parts = services()
    try:
        actions = read_actions(path, parts.instruments, parts.calendar)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    except ActionFileError as error:
        shown = "\n".join(error.faults[:MAX_FAULTS])
        raise click.ClickException(f"{path} cannot be used:\n{shown}") from None
    _require_future(actions)
    known = {each.action.id: each for each in StoredAction.find_all()}
    _require_same(actions, known)
    new = [action for action in actions if StoredAction.add(action, "file", now())]
    StoredAction.count_load()
    click.echo(f"{len(new)} actions loaded, {len(actions) - len(new)} known already.")
    _report_settled(new)


@corporate_actions.command("list")
@click.argument("symbol", required=False)
def list_actions(symbol: str | None) -> None:
    """List the known actions, of one SYMBOL if given."""
    name = services().instruments.get_ordered(symbol).symbol if symbol else None
    rows = [
        (
            each.action.symbol,
            each.action.ex_date,
            each.action.kind,
            each.action.ratio or each.action.amount or "",
            each.source,
            each.applied_at or "",
        )
        for each in StoredAction.find_all(name)
    ]
    click.echo(table(("symbol", "ex-date", "kind", "terms", "from", "applied"), rows))


@corporate_actions.command()
@click.argument("symbol")
@click.argument("ex_date", type=click.DateTime(["%Y-%m-%d"]))
@click.argument("kind", type=click.Choice([kind.value for kind in ActionKind]))
def withdraw(symbol: str, ex_date: datetime, kind: str) -> None:
    """Withdraw an action that was loaded from a file, before its ex-date begins.

    With MARKET_DATA=replay it can be withdrawn whenever no trade is open.
    """
    name = services().instruments.get_ordered(symbol).symbol
    wanted = ex_date.date(), ActionKind(kind)
    for stored in StoredAction.find_all(name):
        if (stored.action.ex_date, stored.action.kind) == wanted:
            break
    else:
        raise click.ClickException(f"No {kind} of {name} on {ex_date.date()} is known.")
    action = stored.action
    if stored.source != "file":
        raise click.ClickException(
            f"{action.id} was not loaded from a file: its source is {stored.source}."
        )
    _remove(action)
    StoredAction.count_load()
    click.echo(f"{action.id} is withdrawn.")


def _remove(action: CorporateAction) -> None:
    """Remove an action; raise ClickException if trades may depend on it."""
    is_replay = services().settings.market == "replay"
    if is_replay and Portfolio.any_margin_in_use():
        raise click.ClickException(f"{action.id} cannot be withdrawn while a trade is open.")
    # The next replay comes to its ex-date again, whatever this one has reached.
    until = datetime.min.replace(tzinfo=UTC) if is_replay else now() + LEARNED
    if not StoredAction.withdraw(action, until, is_applied=is_replay):
        raise click.ClickException(
            f"{action.id} cannot be withdrawn: its ex-date has begun, or begins within a minute."
        )


def _require_future(actions: list[CorporateAction]) -> None:
    """Refuse past actions of the simulated market, whose past prices never change."""
    if not services().settings.simulates_market:
        return
    past = [action.id for action in actions if action.opens_at <= now()]
    if past:
        raise click.ClickException(
            "The simulated market has no past actions, because its past prices stay as they are:\n"
            + "\n".join(past[:MAX_FAULTS])
        )


def _require_same(actions: list[CorporateAction], known: dict[str, StoredAction]) -> None:
    """Refuse other terms of a known action: it may have been applied."""
    units = {
        (each.action.symbol, each.action.ex_date): each
        for each in known.values()
        if each.action.kind.changes_units and each.source != "file"
    }
    faults = [
        f"{action.id} is known with other terms"
        for action in actions
        if action.id in known and known[action.id].action != action
    ] + [
        f"{action.id}: {units[action.symbol, action.ex_date].source} has reported the "
        f"{units[action.symbol, action.ex_date].action.name} of that day already"
        for action in actions
        if action.kind.changes_units
        and action.id not in known
        and (action.symbol, action.ex_date) in units
    ]
    if faults:
        raise click.ClickException("Nothing was loaded:\n" + "\n".join(faults[:MAX_FAULTS]))


def _report_settled(actions: list[CorporateAction]) -> None:
    """Name the trades that prices after an action filled or closed before it was known."""
    for action in actions:
        if not action.kind.changes_units or action.opens_at > now():
            continue
        for trade in find_settled_early(action):
            click.echo(
                f"{trade.user_id}: trade {trade.id} in {trade.symbol} is {trade.status} by a price "
                f"after the {action.name} of {action.ex_date}. It stays as it is."
            )
