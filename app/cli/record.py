"""`flask --app run record FILE`: record the ticks of the configured feed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
from flask.cli import with_appcontext

from app.domain.candle import IST
from app.domain.money import format_rupees
from app.domain.quote import Quote
from app.market_data.feeds.replay import ReplayFeed
from app.market_data.instruments.registry import DEFAULT_INDICES, Instruments
from app.market_data.recordings.recorder import Recorder
from app.market_data.session_prices import SessionPrices
from app.services import Services, services


@click.command("record")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--symbols",
    default=",".join(DEFAULT_INDICES),
    show_default=True,
    help="What to record, separated by commas.",
)
@with_appcontext
def record(path: Path, symbols: str) -> None:
    """Record the ticks of MARKET_DATA to FILE until Ctrl-C, or until a replay is over.

    A FILE that ends in .gz is compressed; one that exists is continued. Prices outside market
    hours are not recorded if these are enforced.
    """
    parts = services()
    names = find_symbols(parts.instruments, symbols)
    recorder = Recorder(path, parts.clock, by_day=False, actions=parts.actions.of)
    show = _show_progress if sys.stderr.isatty() else lambda _recorder, _tick: None
    try:
        _record(parts, names, recorder, show)
    except KeyboardInterrupt:
        recorder.flush()
    finally:
        parts.feed.close()
        recorder.close()
    if sys.stderr.isatty():
        click.echo(err=True)
    click.echo(f"{recorder.written:,} ticks of {len(names)} symbols are in {path}.")


def find_symbols(instruments: Instruments, names: str) -> list[str]:
    """Return the symbols of names separated by commas; raise BadParameter for an unknown one."""
    found: dict[str, None] = {}
    for name in filter(None, (part.strip() for part in names.split(","))):
        instrument = instruments.find(name)
        if instrument is None:
            raise click.BadParameter(f"{name!r} is not a known symbol.", param_hint="--symbols")
        found[instrument.symbol] = None
    if not found:
        raise click.BadParameter("names no symbol.", param_hint="--symbols")
    return list(found)


def _record(
    parts: Services,
    symbols: Sequence[str],
    recorder: Recorder,
    show: Callable[[Recorder, Quote], None],
) -> None:
    """Record until the replay is over, forever without one; raise ClickException on a failure."""
    feed, interval = parts.feed, parts.settings.monitor_interval_seconds
    prices = SessionPrices(parts.calendar, parts.auctions, feed.now())
    arrived = threading.Event()
    feed.listen(arrived.set)
    due = parts.clock.monotonic()
    while True:
        is_due = parts.clock.monotonic() >= due
        if is_due:
            due = parts.clock.monotonic() + interval
        is_over = _is_over(parts)
        ticks = parts.quotes.receive(partial(feed.poll, symbols) if is_due else feed.collect)
        counted = prices.mark(ticks, parts.clock.now(), feed.now())
        recorder.record(counted)
        recorder.flush()
        if recorder.problem is not None:
            raise click.ClickException(f"Nothing more can be recorded: {recorder.problem}.")
        if counted:
            show(recorder, counted[-1])
        if is_over:
            return
        arrived.wait(max(due - parts.clock.monotonic(), 0))
        arrived.clear()


def _is_over(parts: Services) -> bool:
    return isinstance(parts.feed, ReplayFeed) and parts.feed.now() >= parts.feed.last_time


def _show_progress(recorder: Recorder, tick: Quote) -> None:
    text = (
        f"{recorder.written:,} ticks, {recorder.size / 1024:,.0f} KiB, "
        f"{tick.symbol} {format_rupees(tick.price)} at {tick.timestamp.astimezone(IST):%H:%M:%S}"
    )
    # Cleared to the end of the line, because a later text may be shorter.
    click.echo(f"\r{text}\033[K", nl=False, err=True)
