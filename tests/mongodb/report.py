"""The rules, each with its source, and what was found against them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.mongodb.wire import Document

MANUAL = "https://www.mongodb.com/docs/manual"
TRANSACTIONS = f"{MANUAL}/core/transactions-production-consideration"
SERVER = "https://github.com/mongodb/mongo/blob/master/src/mongo"

# MongoDB refuses these; one finding fails the run.
REFUSED = {
    "transaction-command": f"{MANUAL}/core/transactions-operations/#restricted-operations",
    "transaction-concern": f"{MANUAL}/core/transactions/#transactions-and-read-concern",
    "transaction-ddl": f"{SERVER}/db/commands/create_indexes_cmd.cpp",
    "lifetime": f"{TRANSACTIONS}/#runtime-limit",
    "too-large": f"{MANUAL}/reference/limits/ and {SERVER}/db/ops/insert.cpp",
    "hint": f"{MANUAL}/reference/method/cursor.hint/",
    "standalone": f"{TRANSACTIONS}/#availability",
    "atlas-free": "https://www.mongodb.com/docs/atlas/unsupported-commands/",
}
# MongoDB allows these, but they weaken a guarantee or cost more there. Agreed shapes are in
# agreed.json; a new one fails the run.
COUNTED = {
    # Refused with an error that PyMongo retries.
    "lock": f"{TRANSACTIONS}/#pending-ddl-operations-and-transactions",
    "read-preference": f"{MANUAL}/core/read-preference/: may be stale",
    "write-concern": f"{MANUAL}/reference/mongodb-defaults/: w: 1 with an arbiter or by the URI",
    "read-concern": f"{MANUAL}/reference/read-concern-local/: may be rolled back",
    "index-time-limit": f"{SERVER}/db/commands/create_indexes_cmd.cpp: aborts a longer build",
    "transaction-size": f"{TRANSACTIONS}/: 1,000 documents",
    "implicit-creation": f"{MANUAL}/core/transactions-operations/: refused across shards",
    "collection-scan": f"{MANUAL}/tutorial/equality-sort-range-guideline/: no index serves it",
    "index-choice": f"{MANUAL}/core/query-plans/ and {SERVER}/db/query/planner_ixselect.cpp",
    "broadcast": f"{MANUAL}/core/sharded-cluster-query-router/: goes to every shard",
    "upsert-without-shard-key": f"{MANUAL}/reference/method/db.collection.updateOne/: sharded",
    "transaction-across-shards": f"{MANUAL}/core/transactions/: users may be on several shards",
}
AGREED = Path(__file__).with_name("agreed.json")


@dataclass(frozen=True, slots=True)
class Finding:
    """A command against a rule; `reply` is what MongoDB replies if it refuses the command."""

    rule: str
    shape: str
    reply: Document | None = None


@dataclass
class Report:
    """Counts findings by rule and shape; several threads share it."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, finding: Finding) -> None:
        with self._lock:
            self.counts.setdefault(finding.rule, Counter())[finding.shape] += 1

    def count(self, rule: str) -> int:
        return self.counts.get(rule, Counter()).total()

    def shapes(self) -> dict[str, list[str]]:
        return {rule: sorted(found) for rule, found in sorted(self.counts.items())}

    def problems(self, agreed: Mapping[str, list[str]]) -> list[str]:
        """Return every refusal, and every counted shape that is not agreed."""
        return [
            f"{rule}: {shape}, {count} times; see {(REFUSED | COUNTED).get(rule, rule)}"
            for rule, found in sorted(self.counts.items())
            for shape, count in sorted(found.items())
            if rule not in COUNTED or shape not in agreed.get(rule, ())
        ]


def load_agreed() -> dict[str, list[str]]:
    agreed: dict[str, list[str]] = json.loads(AGREED.read_text())
    return agreed


def refusal(code: int, name: str, message: str, *labels: str) -> Document:
    """Return the reply of a server that refuses a command."""
    return {
        "ok": 0.0,
        "errmsg": message,
        "code": code,
        "codeName": name,
        **({"errorLabels": list(labels)} if labels else {}),
    }
