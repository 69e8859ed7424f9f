"""Links between the pages of the documentation lead somewhere."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

from tests.support.server import ROOT

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    slugs = set(re.findall(r'<a id="([^"]+)">', text))
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        kept = "".join(
            letter
            for letter in heading.lower()
            if letter in " -_" or unicodedata.category(letter)[0] in "LN"
        )
        slugs.add(kept.replace(" ", "-"))
    return slugs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("http", "/")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


# What these two tell of the past may be gone.
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name not in ("CHANGELOG.md", "decisions.md")],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_each_file_of_the_project_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:app|tests|docs|embedded_db)/[\w/.]+)`", page.read_text())

    assert [path for path in named if not (ROOT / path).exists()] == []
