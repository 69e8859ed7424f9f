"""`flask --app run retention`: count or delete data beyond its retention period."""

from __future__ import annotations

import sys
from collections import Counter

import click
from flask.cli import with_appcontext

from app.cli.tables import table
from app.database.indexes import RESPONSES_KEPT
from app.models import Inbox
from app.monitor.retention import Limits, purge
from app.services import now, services

DAYS = click.IntRange(min=1)


@click.command()
@click.option("--notifications-days", type=DAYS, help="Instead of RETENTION_NOTIFICATIONS_DAYS.")
@click.option("--alerts-days", type=DAYS, help="Instead of RETENTION_ALERTS_DAYS.")
@click.option("--apply", "applies", is_flag=True, help="Delete it.")
@with_appcontext
def retention(notifications_days: int | None, alerts_days: int | None, applies: bool) -> None:
    """Count the data beyond its retention period; nothing is deleted without --apply."""
    configured = Limits.of(services().settings)
    limits = Limits(
        notifications_days or configured.notifications_days, alerts_days or configured.alerts_days
    )
    counted: Counter[str] = Counter()
    users = [] if limits.is_empty else Inbox.all_user_ids()
    with click.progressbar(users, label="Looking", file=sys.stderr) as progress:
        for user_id in progress:
            counted += purge(user_id, limits, now(), apply=applies)
    kinds = {
        "notifications": ("read notifications", limits.notifications_days),
        "alerts": ("triggered alerts", limits.alerts_days),
    }
    rows: list[tuple[str, str, int | str]] = [
        (text, _kept(days), counted[kind]) for kind, (text, days) in kinds.items()
    ]
    rows.append(("trades, portfolios", _kept(None), 0))
    rows.append(("responses to idempotency keys", _kept(RESPONSES_KEPT.days), "by the database"))
    click.echo(table(("what", "kept", "deleted" if applies else "would go"), rows))
    if counted.total() and not applies:
        click.echo("Nothing was deleted. Delete it with --apply.")


def _kept(days: int | None) -> str:
    return "for ever" if days is None else f"{days} days"
