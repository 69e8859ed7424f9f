"""docs/embedded-database.md and the `# SecantusDB:` comments of the code name the same places."""

from __future__ import annotations

import re

from tests.support.server import ROOT

PAGE = ROOT / "docs" / "embedded-database.md"
MARK = "# SecantusDB:"
# `embedded_db` runs SecantusDB: there the comments explain its own options.
SOURCES = [*(ROOT / "app").rglob("*.py"), ROOT / "config.py", ROOT / "run.py"]


def test_the_page_names_each_file_with_such_a_comment_and_no_other() -> None:
    marked = {str(path.relative_to(ROOT)) for path in SOURCES if MARK in path.read_text()}
    named = re.findall(r"^\| `(\S+\.py)` \|", PAGE.read_text(), re.MULTILINE)

    assert sorted(named) == sorted(marked)


def test_each_such_comment_says_what_mongodb_would_take() -> None:
    for path in SOURCES:
        for comment in re.findall(r"# SecantusDB:[^\n]*(?:\n *#[^\n]*)*", path.read_text()):
            assert "MongoDB" in comment, (path, comment)
