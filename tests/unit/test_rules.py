"""Routing rules that compile their builders of URLs late."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
from werkzeug.routing import Map, Rule

from app.web import rules


def builder(kind: type[Rule]) -> Any:
    return Map([kind("/trades/<user_id>/<int:number>", endpoint="trade")]).bind("localhost")


@pytest.mark.parametrize("values", [{"number": 7}, {"number": 7, "limit": 5}])
def test_a_url_is_the_one_that_werkzeug_builds(values: dict[str, Any]) -> None:
    values = {"user_id": "asha / bob", **values}
    late, early = builder(rules.Rule), builder(Rule)

    for _ in range(2):
        assert late.build("trade", values) == early.build("trade", values)
        assert late.build("trade", values, append_unknown=False) == early.build(
            "trade", values, append_unknown=False
        )


def test_a_rule_compiles_its_builder_with_the_first_url(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def count(*arguments: Any, **options: Any) -> Any:
        # Werkzeug parses templates of its builders, and compiles each builder with this name.
        compiled.append(arguments[1])
        return original(*arguments, **options)

    original = builtins.compile
    monkeypatch.setattr(builtins, "compile", count)
    late = builder(rules.Rule)
    assert "<werkzeug routing>" not in compiled
    values = {"user_id": "asha", "number": 7}
    assert [late.build("trade", values) for _ in range(2)] == ["/trades/asha/7"] * 2
    assert compiled.count("<werkzeug routing>") == 1
