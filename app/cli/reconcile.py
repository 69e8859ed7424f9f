"""`flask --app run reconcile`: check that every portfolio agrees with its trades."""

from __future__ import annotations

import sys

import click
from flask.cli import with_appcontext

from app.cli.tables import table
from app.models import Portfolio
from app.portfolio.reconciliation import Difference, find_differences, repair


@click.command()
@click.option("--repair", "repairs", is_flag=True, help="Set each portfolio right.")
@with_appcontext
def reconcile(repairs: bool) -> None:
    """Recompute every portfolio from its trades; exit 1 if one differs."""
    users = Portfolio.all_user_ids()
    differences: list[Difference] = []
    with click.progressbar(users, label="Reconciling", file=sys.stderr) as progress:
        for user_id in progress:
            user_differences = find_differences(user_id)
            if user_differences and repairs:
                user_differences = repair(user_id)
            differences += user_differences
    if not differences:
        click.echo(f"{len(users)} portfolios agree with their trades.")
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
