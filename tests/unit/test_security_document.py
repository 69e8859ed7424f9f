"""docs/security.md names existing tests, and each requirement of the standard once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()
# OWASP ASVS 5.0.0: the number of requirements of levels 1 and 2 in each section. They come first.
SECTIONS = {
    "1": (2, 9, 11, 3, 2),
    "2": (3, 3, 4, 1),
    "3": (0, 2, 4, 6, 5, 0, 2),
    "4": (3, 1, 2, 4),
    "5": (1, 3, 2, 3),
    "6": (3, 12, 4, 4, 5, 3, 0, 4),
    "7": (3, 4, 2, 5, 2, 2),
    "8": (2, 3, 1, 1),
    "9": (3, 4),
    "10": (2, 2, 4, 11, 5, 2, 3),
    "11": (2, 3, 3, 4, 1, 1),
    "12": (3, 2, 4),
    "13": (1, 5, 2, 5),
    "14": (2, 4, 3),
    "15": (3, 3, 7),
    "16": (1, 5, 4, 3, 3),
    "17": (1, 4, 2),
}
REQUIREMENTS = [
    f"{chapter}.{section}.{number}"
    for chapter, counts in SECTIONS.items()
    for section, count in enumerate(counts, 1)
    for number in range(1, count + 1)
]


def listed() -> list[str]:
    """Return the requirements in the rows of the table, with ranges expanded."""
    found = []
    for row in re.findall(r"^\| (\d+\.\d+\.\d+[^|]*) \|", TEXT, re.MULTILINE):
        for part in row.split(", "):
            first, _, last = part.partition("-")
            section, _, number = first.rpartition(".")
            end = (last or first).rpartition(".")[2]
            found += [f"{section}.{n}" for n in range(int(number), int(end) + 1)]
    return found


def test_each_requirement_of_levels_1_and_2_is_in_the_table_once() -> None:
    found = listed()

    assert sorted(found) == sorted(REQUIREMENTS)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT))))
def test_each_named_test_file_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_each_named_test_is_in_the_file_named_before_it() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)` \(`(test_\w+)`\)", TEXT)

    assert named
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), (path, name)
