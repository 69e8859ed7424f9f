"""`make bench`: measure every row, or those named, print the table and keep it as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.cli.tables import table
from benchmarks.measure import Result, Skipped
from benchmarks.rows import ROWS, Row

RESULTS = Path(__file__).parent / "results"


def main(
    argv: Sequence[str] | None = None, rows: Mapping[str, Row] = ROWS, folder: Path = RESULTS
) -> int:
    """Measure, print and keep; return 0, 1 where a row failed, 2 for one that does not exist."""
    arguments = _arguments(argv, rows)
    wanted = {
        name: row for name, row in rows.items() if not arguments.rows or name in arguments.rows
    }
    if unknown := set(arguments.rows) - set(rows):
        print(f"There is no row {', '.join(sorted(unknown))}. Rows: {', '.join(rows)}")
        return 2
    results: list[Result] = []
    failed: list[str] = []
    began = time.monotonic()
    for number, (name, row) in enumerate(wanted.items(), 1):
        print(f"[{number}/{len(wanted)}] {name} ...", end="", file=sys.stderr, flush=True)
        since = time.monotonic()
        try:
            results += row()
        except Skipped as reason:
            print(f" skipped: {reason}", file=sys.stderr)
            continue
        except Exception:
            # One row that cannot be measured here leaves the others.
            failed.append(name)
            print(f" failed\n{traceback.format_exc()}", file=sys.stderr)
            continue
        print(f" {time.monotonic() - since:.0f} s", file=sys.stderr)
    earlier = _load(arguments.compare) if arguments.compare else {}
    print(_table(results, earlier))
    path = _keep(folder, results, time.monotonic() - began)
    print(f"\nKept in {path}. Compare a later run with: --compare {path}")
    return 1 if failed else 0


def _arguments(argv: Sequence[str] | None, rows: Iterable[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"rows to measure: {', '.join(rows)}")
    parser.add_argument("--compare", type=Path, help="an earlier result to show beside this one")
    return parser.parse_args(argv)


def _table(results: list[Result], earlier: dict[str, float]) -> str:
    heading = ["row", "measured", "spread", "goal", "", "against", "ours : theirs"]
    heading += ["earlier"] if earlier else []
    rows = []
    for each in results:
        unit = f" {each.goal.unit}" if each.goal.unit else ""
        row = [
            each.row,
            f"{each.value:.3g}{unit}",
            f"{each.low:.3g} to {each.high:.3g}",
            str(each.goal),
            "met" if each.is_met else "SHORT",
            each.against,
            each.parts,
        ]
        row += [f"{earlier[each.row]:.3g}" if each.row in earlier else "-"] if earlier else []
        rows.append(row)
    return table(heading, rows)


def _keep(folder: Path, results: list[Result], seconds: float) -> Path:
    folder.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = folder / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    document = {
        "time": now.isoformat(timespec="seconds"),
        "seconds": round(seconds),
        "commit": _commit(),
        "machine": {
            "python": platform.python_version(),
            "system": platform.system(),
            "processors": os.cpu_count(),
        },
        "rows": [each.to_json() for each in results],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _load(path: Path) -> dict[str, float]:
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"]
    return {each["row"]: each["value"] for each in rows}


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
