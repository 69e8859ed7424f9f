"""`flask --app run backup` and `restore`: the data of one instant in a file, and back."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from app.cli.books import compare_all
from app.database import backup as backups
from app.database.backup import UnusableBackup
from app.models import ShareLease
from app.services import services
from app.web.schemas import format_time


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@with_appcontext
def backup(file: Path, force: bool) -> None:
    """Write all data, as it is at this instant, to FILE. Servers may run meanwhile.

    FILE is complete or absent, and readable by its owner only: it holds names, email addresses
    and password hashes. It does not hold the secrets, SECRET_KEY and JWT_SECRET_KEY.
    """
    if file.exists() and not force:
        raise click.ClickException(f"{file} exists. Choose another name, or add --force.")
    partial = file.with_name(f"{file.name}.partial")
    try:
        # Only its owner may read it, whatever the umask is.
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        with (
            os.fdopen(descriptor, "w+b") as target,
            _bar(backups.count_documents(), "Writing") as bar,
        ):
            manifest = backups.write_backup(target, format_time(services().clock.now()), bar.update)
            target.flush()
            os.fsync(target.fileno())
        partial.replace(file)
    except (OSError, UnusableBackup) as error:
        partial.unlink(missing_ok=True)
        raise click.ClickException(f"No backup was made: {error}") from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    size = file.stat().st_size / 1_000_000
    click.echo(f"{manifest.total:,} documents of {manifest.created_at} in {file} ({size:.1f} MB).")
    click.echo("Keep SECRET_KEY and JWT_SECRET_KEY as well: the file does not hold them.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--replace", is_flag=True, help="Delete what the database holds now.")
@with_appcontext
def restore(file: Path, replace: bool) -> None:
    """Put the data of FILE into the database. Stop every server first.

    If it is interrupted, no server starts on the half restored data: run it again.
    """
    if ShareLease.any_living():
        raise click.ClickException(
            "A server runs on this database, or was killed a moment ago. Stop every server first, "
            "or wait for half a minute."
        )
    if not replace and not backups.is_empty():
        raise click.ClickException(
            "The database is not empty. Add --replace to delete what it holds, or name another one."
        )
    try:
        with zipfile.ZipFile(file) as archive:
            total = backups.read_manifest(archive).total
            with _bar(total, "Restoring") as bar:
                manifest = backups.restore(archive, bar.update)
    except zipfile.BadZipFile:
        raise click.ClickException(f"{file} is not a backup, or is incomplete.") from None
    except UnusableBackup as error:
        raise click.ClickException(f"Nothing was changed: {error}") from None
    click.echo(f"{manifest.total:,} documents of {manifest.created_at} restored.")
    _check_portfolios()


def _check_portfolios() -> None:
    compared = dict(compare_all())
    if wrong := list(filter(None, compared.values())):
        raise click.ClickException(
            f"{len(wrong)} portfolios differ from their trades, as they did at the backup. "
            "`flask --app run reconcile` shows how."
        )
    click.echo(f"{len(compared)} portfolios agree with their trades.")


def _bar(length: int, label: str) -> Any:
    return click.progressbar(length=length, label=label, file=sys.stderr)
