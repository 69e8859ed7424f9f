"""The audit: it reads the database directly and checks it by its own statement of the rules.

Nothing here uses the application's models or rules. `rules` states what each field of a trade must
be, `lives` replays the events of each trade, `books` adds up the portfolios, `requests` looks for
what each request did, and `market` for what the prices should have done.
"""

from tests.support.audit.auditor import Auditor
from tests.support.audit.market import missed_changes
from tests.support.audit.rest import rest_differences
from tests.support.audit.snapshot import (
    Document,
    Snapshot,
    embedded_record,
    embedded_uri,
    subject_of,
)

__all__ = [
    "Auditor",
    "Document",
    "Snapshot",
    "embedded_record",
    "embedded_uri",
    "missed_changes",
    "rest_differences",
    "subject_of",
]
