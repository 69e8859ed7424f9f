"""The harness of the benchmarks: ratios, table and stored results. Nothing is timed here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.measure import Goal, Result, percentile, ratio_of, result_of
from benchmarks.rows import ROWS
from tests.support.server import ROOT


def a_result(row: str = "a row", value: float = 0.8) -> Result:
    return result_of(row, "a peer", Goal(at_least=0.7), [value], parts="8 : 10 things/s")


def test_a_ratio_is_the_median_of_its_rounds_after_a_warm_up() -> None:
    ours: Iterator[float] = iter([1_000.0, 6.0, 8.0, 5.0])
    peer: Iterator[float] = iter([1.0, 10.0, 10.0, 10.0])

    result = ratio_of(
        "a row",
        "a peer",
        Goal(at_least=0.6),
        ours=lambda: next(ours),
        peer=lambda: next(peer),
        unit="things/s",
        rounds=3,
    )

    assert (result.value, result.low, result.high) == (0.6, 0.5, 0.8)
    assert result.parts == "6 : 10 things/s"
    assert result.is_met


def test_both_sides_come_first_in_some_rounds() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return 1.0

    ratio_of(
        "a row",
        "a peer",
        Goal(at_least=1),
        ours=lambda: side("ours"),
        peer=lambda: side("peer"),
        unit="",
        rounds=2,
    )

    assert order[2:] in (["ours", "peer", "peer", "ours"], ["peer", "ours", "ours", "peer"])


def test_a_goal_is_a_floor_or_a_ceiling() -> None:
    assert Goal(at_least=0.6).is_met_by(0.6)
    assert not Goal(at_least=0.6).is_met_by(0.59)
    assert Goal(at_most=250, unit="ms").is_met_by(250)
    assert not Goal(at_most=250, unit="ms").is_met_by(251)
    assert str(Goal(at_most=250, unit="ms")) == "≤ 250 ms"


def test_a_percentile_is_the_value_that_its_share_does_not_exceed() -> None:
    assert percentile(range(100), 0.99) == 99
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0


def test_the_table_shows_goals_met_and_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"good": lambda: [a_result()], "bad": lambda: [a_result("another row", 0.5)]}

    assert main([], rows, tmp_path) == 0

    lines = capsys.readouterr().out.splitlines()
    assert "met" in next(line for line in lines if line.startswith("a row"))
    assert "SHORT" in next(line for line in lines if line.startswith("another row"))


def test_results_are_stored_and_shown_beside_a_later_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([], {"one": lambda: [a_result(value=0.75)]}, tmp_path)
    (kept,) = tmp_path.glob("*.json")
    document = json.loads(kept.read_text())
    assert document["rows"][0]["value"] == 0.75
    assert document["rows"][0]["is_met"] is True
    assert {"time", "commit", "machine", "seconds"} <= document.keys()
    capsys.readouterr()

    later = {"one": lambda: [a_result(value=0.9), a_result("a new row")]}
    main(["--compare", str(kept)], later, tmp_path)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("earlier")
    assert next(line for line in lines if line.startswith("a row")).endswith("0.75")
    assert next(line for line in lines if line.startswith("a new row")).endswith("-")


def test_a_failing_row_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> list[Result]:
        raise RuntimeError("no such luck")

    assert main([], {"broken": fail, "sound": lambda: [a_result()]}, tmp_path) == 1

    printed = capsys.readouterr()
    assert "no such luck" in printed.err
    assert "a row" in printed.out
    (kept,) = tmp_path.glob("*.json")
    assert [row["row"] for row in json.loads(kept.read_text())["rows"]] == ["a row"]


def test_rows_are_measured_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured: list[str] = []

    def measure(name: str) -> list[Result]:
        measured.append(name)
        return [a_result()]

    rows = {name: partial(measure, name) for name in "abc"}

    assert main(["b"], rows, tmp_path) == 0
    assert measured == ["b"]

    assert main(["d"], rows, tmp_path) == 2
    assert "There is no row d. Rows: a, b, c" in capsys.readouterr().out


def test_every_row_of_the_table_has_a_name_and_a_description() -> None:
    explained = (ROOT / "benchmarks/README.md").read_text()
    for name in ROWS:
        assert f"| {name} |" in explained
