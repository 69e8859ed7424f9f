"""The Postman collection, run by newman."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.server import ROOT

COLLECTION = ROOT / "postman" / "paper_trading_collection.json"
ENVIRONMENT = ROOT / "postman" / "paper_trading_environment.json"
NEWMAN = ROOT / "node_modules" / ".bin" / "newman"
SECONDS = 240


def run_collection(
    url: str, folder: Path, *, ca: Path | None = None
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run the collection against a server; return the process and the counts of its report.

    The report goes to `folder`. `ca` is a certificate to trust.
    """
    report = folder / "report.json"
    process = subprocess.run(
        [
            *(NEWMAN, "run", COLLECTION, "--environment", ENVIRONMENT),
            *("--env-var", f"baseUrl={url}", "--color", "off"),
            *("--reporters", "cli,json", "--reporter-json-export", report),
            *(("--ssl-extra-ca-certs", ca) if ca else ()),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    stats: dict[str, Any] = json.loads(report.read_text())["run"]["stats"]
    return process, stats
