"""`flask --app run corporate-actions`: all lines of a file are loaded, or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.cli.corporate_actions import corporate_actions
from app.models.stored_action import SIMULATED, StoredAction
from app.services import now, services
from tests.support.exchange_time import advance_to, ist
from tests.support.market import ManualClock

HEADER = "symbol,ex_date,kind,ratio,amount\n"


@pytest.fixture
def variables() -> dict[str, Any]:
    return {"MARKET_DATA": "yahoo"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "actions.csv"


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(corporate_actions, arguments)
    return result.exit_code, result.output


def test_a_file_is_loaded_once(app: Flask, app_context: Flask, path: Path) -> None:
    path.write_text(
        HEADER
        + "reliance,2026-12-01,Bonus,1:1,\nTCS.NS,2026-12-03,split,5:1,\n"
        + "INFY.NS,2026-12-04,dividend,,18.50\nITC.NS,2026-12-07,demerger,,\n"
    )

    assert run(app, "load", str(path)) == (0, "4 actions loaded, 0 known already.\n")
    assert run(app, "load", str(path)) == (0, "0 actions loaded, 4 known already.\n")

    known = [each.action.id for each in StoredAction.find_all()]
    assert known == [
        "RELIANCE.NS 2026-12-01 bonus",
        "TCS.NS 2026-12-03 split",
        "INFY.NS 2026-12-04 dividend",
        "ITC.NS 2026-12-07 demerger",
    ]
    assert "5:1" in run(app, "list", "TCS")[1]


def test_one_wrong_line_keeps_all_of_them_out(app: Flask, app_context: Flask, path: Path) -> None:
    path.write_text(
        HEADER
        + "TCS.NS,2026-12-03,split,5:1,\nNONE.NS,2026-12-03,split,5:1,\n^NSEI,2026-12-03,split,5:1,"
        + "\nTCS.NS,3 December,split,5:1,\nTCS.NS,2026-12-03,gift,,\nTCS.NS,2026-12-03,bonus,0:1,\n"
        + "TCS.NS,2026-12-03,dividend,,-1\nTCS.NS,2026-12-03,split,2:1,\n"
    )

    code, output = run(app, "load", str(path))

    assert code == 1
    assert [line.split(":")[0] for line in output.splitlines()[1:]] == [
        f"line {number}" for number in range(3, 10)
    ]
    assert StoredAction.find_all() == []


def test_other_terms_of_a_known_action_are_refused(
    app: Flask, app_context: Flask, path: Path
) -> None:
    path.write_text(HEADER + "TCS.NS,2026-12-03,split,5:1,\n")
    assert run(app, "load", str(path))[0] == 0
    path.write_text(HEADER + "TCS.NS,2026-12-03,split,2:1,\n")

    code, output = run(app, "load", str(path))

    assert code == 1
    assert "TCS.NS 2026-12-03 split is known with other terms" in output


def test_an_action_is_withdrawn_before_its_ex_date(
    app: Flask, app_context: Flask, path: Path
) -> None:
    path.write_text(HEADER + "TCS.NS,2026-12-03,split,5:1,\nTCS.NS,2026-12-04,split,2:1,\n")
    run(app, "load", str(path))
    services().actions.refresh()
    version = StoredAction.find_version()

    answer = run(app, "withdraw", "tcs", "2026-12-03", "split")

    assert answer == (0, "TCS.NS 2026-12-03 split is withdrawn.\n")
    assert [each.action.id for each in StoredAction.find_all()] == ["TCS.NS 2026-12-04 split"]
    # Running servers read it again.
    assert StoredAction.find_version() > version
    code, output = run(app, "withdraw", "TCS", "2026-12-03", "split")
    assert (code, output) == (1, "Error: No split of TCS.NS on 2026-12-03 is known.\n")


def test_an_action_is_not_withdrawn_once_its_ex_date_begins(
    app: Flask, app_context: Flask, path: Path, clock: ManualClock
) -> None:
    path.write_text(HEADER + "TCS.NS,2026-11-25,split,5:1,\n")
    run(app, "load", str(path))
    advance_to(clock, ist("2026-11-25 09:14:30"))

    code, output = run(app, "withdraw", "TCS", "2026-11-25", "split")

    assert code == 1
    assert "its ex-date has begun, or begins within a minute" in output
    assert len(StoredAction.find_all()) == 1


def test_what_a_market_has_announced_itself_is_not_withdrawn(
    app: Flask, app_context: Flask, path: Path
) -> None:
    path.write_text(HEADER + "TCS.NS,2026-12-03,split,5:1,\n")
    run(app, "load", str(path))
    (loaded,) = (each.action for each in StoredAction.find_all())
    announced = replace(loaded, symbol="INFY.NS")
    assert StoredAction.add(announced, SIMULATED, now())

    code, output = run(app, "withdraw", "INFY", "2026-12-03", "split")

    assert code == 1
    assert "its source is simulated" in output
