"""`flask instruments sync`: a damaged or short list replaces nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.database import collection
from app.market_data.instruments.registry import Instruments, load_instruments
from app.market_data.instruments.sync import read_list
from tests.fakes.scrip_master import ScripMasterServer
from tests.support.database_state import documents
from tests.support.instrument_sync import Sync, assert_refused, listed


@pytest.mark.parametrize(
    "spoil",
    [
        {"status": 500},
        {"cut_after": 100_000},
        {"body": b"<html>busy</html>"},
        {"body": b"[]"},
        {"body": b'{"status": false, "data": null}'},
        {"body": json.dumps(["a", 1, None] * 500).encode()},
    ],
    ids=["error", "cut off", "html", "empty", "object", "wrong rows"],
)
def test_a_damaged_list_changes_nothing(
    sync: Sync, known: Instruments, server: ScripMasterServer, spoil: dict[str, Any]
) -> None:
    assert sync().exit_code == 0
    before = list(known)
    (state,) = documents("market", _id="instruments")
    for name, value in spoil.items():
        setattr(server, name, value)

    assert_refused(sync())
    assert_refused(sync("--force"))

    (stored,) = documents("market", _id="instruments")
    assert stored["generation"] == state["generation"]
    assert list(Instruments((), read_list)) == list(Instruments((), read_list))
    known.refresh(0)
    assert list(known) == before


def test_a_short_list_is_refused_unless_forced(
    sync: Sync, known: Instruments, server: ScripMasterServer
) -> None:
    server.serve(listed(999))
    assert_refused(sync(), "only 999 shares", "at least 1,000", "--force")
    assert known.find("SHARE1") is None

    assert sync("--force").exit_code == 0
    assert known.get("SHARE1").is_listed


def test_a_list_of_less_than_half_the_last_one_is_refused_unless_forced(
    sync: Sync, known: Instruments, server: ScripMasterServer
) -> None:
    server.serve(listed(2_100))
    sync()
    server.serve(listed(1_049))
    assert_refused(sync(), "only 1,049 shares", "the current one has 2,100", "--force")
    assert known.get("SHARE2099").is_listed

    server.serve(listed(1_050))
    assert sync().exit_code == 0


def test_a_list_that_lost_documents_is_not_used_and_can_be_replaced(
    sync: Sync, known: Instruments, caplog: pytest.LogCaptureFixture
) -> None:
    sync()
    collection("instruments").delete_one({})

    assert len(load_instruments(read_list)) == 103
    assert "the list could not be read: LookupError" in caplog.text
    known.refresh(0)
    assert len(known) == 1_303

    assert "The current list is damaged" in sync().stderr
    assert sync("--force").exit_code == 0
    assert len(load_instruments(read_list)) == 1_303
