"""`flask --app run migrate`: prepare the database for this version, ahead of its servers."""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import AppGroup, with_appcontext

from app.database import migrations
from app.database.indexes import create_indexes


@click.command()
@with_appcontext
def migrate() -> None:
    """Migrate the data and build missing indexes, as the start of a server does.

    Indexes can be built while servers run. Stop the servers of an earlier version first if this
    version has a new schema: they cannot use migrated data.
    """
    migrations.migrate()
    create_indexes()
    click.echo(f"The data is in shape {migrations.VERSION}, and no index is missing.")


class _OnlyMigrate(AppGroup):
    """Refuses every command but `migrate`."""

    def __init__(self, refusal: str) -> None:
        super().__init__()
        self.add_command(migrate)
        self._refusal = refusal

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        command = super().get_command(ctx, cmd_name)
        if command is None:
            raise click.ClickException(self._refusal)
        return command


def offer_only_migrate(app: Flask, refusal: migrations.OutdatedData) -> None:
    """Give the application `migrate` as its only command: its data has an earlier shape."""
    app.cli = _OnlyMigrate(str(refusal))
