"""Without the extra of the embedded database, and where its code runs with it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from embedded_db.supervisor import PROGRAM, EmbeddedDatabase, StartError
from tests.support.server import ROOT


def test_without_the_embedded_database_one_sentence_says_what_to_set_or_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "secantus", None)

    with pytest.raises(StartError) as refusal:
        EmbeddedDatabase(tmp_path / "data").start()

    sentence = str(refusal.value)
    assert sentence.startswith("MONGO_URI: must name a MongoDB replica set")
    assert "pip install --require-hashes -r requirements-embedded.txt" in sentence
    assert "\n" not in sentence
    assert (ROOT / "requirements-embedded.txt").exists()
    assert not (tmp_path / "data").exists()


def test_only_the_program_of_its_own_imports_secantusdb() -> None:
    """SecantusDB is under the GPL, the server is not."""
    sources = [*ROOT.glob("*.py"), *(ROOT / "app").rglob("*.py"), *PROGRAM.parent.glob("*.py")]
    importing = [path for path in sources if "secantus" in imported_by(path)]

    assert importing == [PROGRAM]
    assert PROGRAM.read_text().startswith("# SPDX-License-Identifier: GPL-2.0-only\n")
    assert [path for path in sources if PROGRAM.stem in imported_by(path)] == []


def imported_by(path: Path) -> set[str]:
    """Return every part of the names of the modules that a file imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [node.module or "", *(each.name for each in node.names)]
    return {part for name in names for part in name.split(".")}
