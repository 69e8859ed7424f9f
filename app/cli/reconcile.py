"""`flask --app run reconcile`: check that every portfolio agrees with its trades."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from app.cli.books import compare_all
from app.cli.tables import table
from app.portfolio.reconciliation import Difference, StillChanging, repair


@click.command()
@click.option("--repair", "repairs", is_flag=True, help="Set each portfolio right.")
@with_appcontext
def reconcile(repairs: bool) -> None:
    """Recompute every portfolio from its trades; exit 1 if one differs."""
    count, differences = 0, list[Difference]()
    for user_id, found in compare_all():
        count += 1
        differences += _repair(user_id) if found and repairs else found
    if not differences:
        click.echo(f"{count} portfolios agree with their trades.")
        return
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
    click.echo(table(("user", "portfolio", "field", "recorded", "recomputed"), rows))
    if repairs:
        click.echo(f"{len(differences)} differences were repaired.")
    else:
        click.echo("Nothing was changed. Repair with: flask --app run reconcile --repair")
    raise SystemExit(1)


def _repair(user_id: str) -> list[Difference]:
    try:
        return repair(user_id)
    except StillChanging:
        raise click.ClickException(
            f"The books of {user_id} kept changing. Repair them again when less is traded."
        ) from None
