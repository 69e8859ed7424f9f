"""`flask --app run import-candles`: make a recording of candles."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
from flask.cli import with_appcontext

from app.cli.record import find_symbols
from app.configuration.recordings import GZIP, find_recordings
from app.domain.quote import Quote
from app.market_data.recordings.candle_files import (
    FORMATS,
    CandleFileError,
    CandleReader,
    FileCandle,
)
from app.market_data.recordings.candle_ticks import ticks_of
from app.market_data.recordings.rows import format_header, format_ticks
from app.services import services


@click.command("import-candles")
@click.argument(
    "paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="The format of the files; recognized by their columns if it is left out.",
)
@click.option(
    "--symbols",
    help="Of a file of Yahoo or Kite its symbol, by default the name of the file. Of a bhavcopy "
    "the symbols to take, by default all that are known.",
)
@with_appcontext
def import_candles(
    paths: tuple[Path, ...], out: Path, format: str | None, symbols: str | None
) -> None:
    """Make the recording OUT of the candles in each FILE, folder or pattern.

    A rising candle becomes its open, low, high and close, a falling one its open, high, low and
    close. Nothing is written if a row is unusable.
    """
    if out.exists():
        raise click.ClickException(f"{out} exists. Name another file, or remove it.")
    names = find_symbols(services().instruments, symbols) if symbols else []
    reader = CandleReader(services().instruments, format, names)
    try:
        candles = _read(paths, reader)
    except CandleFileError as error:
        raise click.ClickException(str(error)) from None
    if not candles:
        raise click.ClickException("The files have no candle of a known symbol.")
    ticks = ticks_of(candles, services().calendar)
    try:
        _write(out, ticks)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}") from None
    found = len({candle.symbol for candle in candles})
    click.echo(f"{len(candles):,} candles of {found:,} symbols are {len(ticks):,} ticks in {out}.")
    if reader.skipped:
        click.echo(f"{reader.skipped:,} rows were skipped: of other symbols, or without a trade.")


def _read(paths: Sequence[Path], reader: CandleReader) -> list[FileCandle]:
    files = [file for path in paths for file in find_recordings(path)]
    candles: list[FileCandle] = []
    with click.progressbar(files, label="Reading", file=sys.stderr) as progress:
        for file in progress:
            candles += reader.read(file)
    return candles


def _write(out: Path, ticks: Sequence[Quote]) -> None:
    """Write the recording as a whole; raise OSError."""
    content = format_header() + format_ticks((tick.timestamp, tick, "") for tick in ticks)
    part = out.with_name(f"{out.name}.part")
    try:
        part.write_bytes(gzip.compress(content) if out.name.endswith(GZIP) else content)
        part.replace(out)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
