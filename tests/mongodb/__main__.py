"""Run suites through the strict proxy, before the embedded server as a replica set.

`python -m tests.mongodb [PYTEST ARGUMENTS]`; `--agree` writes what was counted into agreed.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mongodb.proxy import StrictProxy
from tests.mongodb.report import AGREED, Report, load_agreed
from tests.support.faults import FaultyDatabase

# What depends most on the database: transactions, indexes, execution, monitor and outbox.
SUITES = (
    *("integration/test_transaction.py", "integration/test_lost_commits.py"),
    *("integration/test_indexes.py", "integration/test_migrations.py"),
    *("integration/test_execution.py", "integration/test_alerts.py"),
    *("integration/test_monitor.py", "integration/test_leases.py"),
    *("integration/test_shares.py", "integration/test_gap.py"),
    *("integration/test_outbox.py", "integration/test_outbox_batches.py"),
    *("integration/test_backup.py", "integration/test_reconcile.py"),
    *("integration/test_polling_of_traded_symbols.py", "integration/test_retention.py"),
    *("integration/corporate_actions", "integration/test_corporate_action_files.py"),
    *("integration/test_own_actions.py", "integration/test_reported_actions.py"),
    *("api/test_idempotency.py", "api/test_concurrency.py"),
    *("api/test_trades.py", "api/test_exits.py"),
)
TESTS = Path(__file__).resolve().parents[1]
PYTEST = ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")


def main(*arguments: str) -> int:
    agree = "--agree" in arguments
    chosen = [argument for argument in arguments if argument != "--agree"]
    suites = [] if any(each.startswith("tests") for each in chosen) else suite_paths()
    with tempfile.TemporaryDirectory() as folder:
        server = FaultyDatabase(Path(folder))
        proxy = StrictProxy(server.port)
        try:
            failed = subprocess.run(
                [sys.executable, "-m", "pytest", *PYTEST, *suites, *chosen],
                env={**os.environ, "TEST_MONGO_URI": proxy.uri},
            ).returncode
        finally:
            proxy.close()
            server.stop()
    if agree:
        AGREED.write_text(json.dumps(proxy.report.shapes(), indent=2) + "\n")
    found = print_problems(proxy.report)
    return failed or found


def suite_paths() -> list[str]:
    return [str(TESTS / suite) for suite in SUITES]


def print_problems(report: Report) -> int:
    """Print what was found against the rules; return the exit status."""
    problems = report.problems(load_agreed())
    print("Counted:", {rule: report.count(rule) for rule in sorted(report.counts)})
    for problem in problems:
        print("Not agreed:", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
