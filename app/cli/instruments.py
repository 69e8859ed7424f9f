"""`flask --app run instruments`: load the tradable instruments, and look them up."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path

import click
from flask.cli import AppGroup
from pymongo.errors import PyMongoError

from app.cli.tables import table
from app.market_data.instruments.scrip_master import (
    MasterContent,
    MasterFile,
    ScripMasterError,
    download,
    open_file,
    read_master,
)
from app.market_data.instruments.sync import SyncDiff, SyncLease, SyncRefused, publish, sync_lease
from app.services import services

MAX_SHOWN = 20

instruments = AppGroup("instruments", help="Load the shares of NSE and BSE, and look them up.")


@instruments.command()
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the list from a file instead of ANGEL_SCRIP_MASTER_URL.",
)
@click.option("--force", is_flag=True, help="Accept a list that looks too short.")
def sync(path: Path | None, force: bool) -> None:
    """Load every share of NSE and BSE from Angel One's scrip master.

    The new list replaces the old one as a whole, and running servers load it within a minute.
    If anything fails, nothing is changed and the exit status is 1.
    """
    source = open_file(path) if path else download(services().settings.angel_scrip_master_url)
    try:
        with sync_lease(services().clock) as lease:
            content = _read(source, lease)
            diff = _publish(content, lease, force)
    except (ScripMasterError, SyncRefused) as error:
        raise click.ClickException(str(error)) from None
    except PyMongoError as error:
        raise click.ClickException(
            f"The database failed ({type(error).__name__}). Unless it was the very last step, "
            "nothing was changed. Run the sync again."
        ) from None
    click.echo(_summary(content, diff))
    # Only for this process: other processes check for a newer list themselves.
    services().instruments.refresh(0)


@instruments.command()
@click.argument("text")
def show(text: str) -> None:
    """Show the instruments whose symbol or name contains TEXT, best first."""
    matches = services().instruments.search(text)
    rows = [
        (
            instrument.symbol,
            instrument.name,
            instrument.tick_size,
            instrument.lot_size,
            instrument.angel_token,
        )
        for instrument in matches[:MAX_SHOWN]
    ]
    if not rows:
        raise click.ClickException(
            f"No instrument matches {text!r}. `flask --app run instruments sync` loads every share."
        )
    click.echo(table(("symbol", "name", "tick", "lot", "Angel One token"), rows))
    if len(matches) > MAX_SHOWN:
        click.echo(f"and {len(matches) - MAX_SHOWN:,} more")


def _read(source: AbstractContextManager[MasterFile], lease: SyncLease) -> MasterContent:
    with source as file:
        # If the server sends no length, the bar only counts.
        endless = iter(bytes, b"")
        with click.progressbar(
            endless, length=file.size, label="Reading the list", file=sys.stderr
        ) as progress:
            file.on_progress = progress.update
            return read_master(file, lease.renew)


def _publish(content: MasterContent, lease: SyncLease, force: bool) -> SyncDiff:
    listed = content.instruments.values()
    with click.progressbar(
        length=len(listed), label="Writing the list", file=sys.stderr
    ) as progress:
        return publish(listed, lease, force=force, on_written=progress.update)


def _summary(content: MasterContent, diff: SyncDiff) -> str:
    lines = [
        f"{content.shares:,} shares in a list of {content.rows:,} rows: "
        f"{diff.added:,} added, {diff.changed:,} changed, "
        f"{diff.removed:,} removed, {diff.kept:,} kept."
    ]
    if diff.unlisted:
        lines.append(
            f"{diff.unlisted:,} that are no longer listed stay known, for the trades in them."
        )
    if content.unusable:
        lines.append(f"{content.unusable:,} rows could not be used.")
    return "\n".join(lines)
