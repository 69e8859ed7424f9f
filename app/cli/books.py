"""Comparing the books of all users, with the progress at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from app.models import Portfolio
from app.portfolio.reconciliation import Difference, find_differences


def compare_all() -> Iterator[tuple[str, list[Difference]]]:
    """Yield every user who has a portfolio, with the differences of the books.

    The progress counts trades: one user may have most of them.
    """
    counts = Portfolio.count_trades()
    length = len(counts) + sum(counts.values())
    with click.progressbar(length=length, label="Reconciling", file=sys.stderr) as progress:
        for user_id in counts:
            yield user_id, find_differences(user_id, progress.update)
            progress.update(1)
