"""What the server says on a system for which there is no embedded database."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.embedded import EmbeddedDatabase
from config import ConfigurationError


def test_without_the_embedded_database_one_sentence_asks_for_a_mongodb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "secantus", None)

    with pytest.raises(ConfigurationError) as refusal:
        EmbeddedDatabase(tmp_path / "data").start()

    (offence,) = refusal.value.offences
    assert offence.startswith("MONGO_URI: must name a MongoDB replica set")
    assert not (tmp_path / "data").exists()
