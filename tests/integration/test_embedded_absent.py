"""The server's message on a system without a wheel of the embedded database."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from embedded_db.supervisor import EmbeddedDatabase, StartError


def test_without_the_embedded_database_the_message_asks_for_a_mongodb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "secantus", None)

    with pytest.raises(StartError) as refusal:
        EmbeddedDatabase(tmp_path / "data").start()

    assert str(refusal.value).startswith("MONGO_URI: must name a MongoDB replica set")
    assert not (tmp_path / "data").exists()
