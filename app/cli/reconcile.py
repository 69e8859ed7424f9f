"""`flask --app run reconcile`: check portfolios against their trades, and bounds against both."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from app.cli.books import compare_all
from app.cli.tables import table
from app.portfolio.bounds_reconciliation import NarrowBound, find_narrow_bounds, repair_bounds
from app.portfolio.reconciliation import Difference, StillChanging, repair


@click.command()
@click.option("--repair", "repairs", is_flag=True, help="Set each portfolio right.")
@with_appcontext
def reconcile(repairs: bool) -> None:
    """Recompute every portfolio from its trades; exit 1 if one differs.

    The bounds of each symbol must include what waits for its price.
    """
    count, differences = 0, list[Difference]()
    for user_id, found in compare_all():
        count += 1
        differences += _repair(user_id) if found and repairs else found
    narrow = repair_bounds() if repairs else find_narrow_bounds()
    if not differences and not narrow:
        click.echo(f"{count} portfolios agree with their trades.")
        return
    _print_differences(differences)
    _print_narrow_bounds(narrow)
    if repairs:
        click.echo(f"{len(differences) + len(narrow)} differences were repaired.")
    else:
        click.echo("Nothing was changed. Repair with: flask --app run reconcile --repair")
    raise SystemExit(1)


def _print_differences(differences: list[Difference]) -> None:
    rows = [
        (
            difference.user_id,
            difference.portfolio or "-",
            difference.field,
            difference.recorded,
            difference.recomputed,
        )
        for difference in differences
    ]
    if rows:
        click.echo(table(("user", "portfolio", "field", "recorded", "recomputed"), rows))


def _print_narrow_bounds(narrow: list[NarrowBound]) -> None:
    rows = [(each.symbol, each.side, each.bound, each.level) for each in narrow]
    if rows:
        click.echo(table(("symbol", "bound", "recorded", "waits for"), rows))


def _repair(user_id: str) -> list[Difference]:
    try:
        return repair(user_id)
    except StillChanging:
        raise click.ClickException(
            f"The books of {user_id} kept changing. Repair them again when less is traded."
        ) from None
