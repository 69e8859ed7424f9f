"""docs/configuration.md and .env.example list every variable of config.py, with its default."""

from __future__ import annotations

import re

import pytest
from dotenv import dotenv_values

from app.configuration.production import OVERRIDES
from config import VARIABLES, Settings, load_settings
from tests.support.server import ROOT

EXAMPLE = dotenv_values(ROOT / ".env.example", interpolate=False)
ROWS = re.findall(
    r"^\| `([A-Z_]+)` \| (.*?) \|", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE
)


def test_the_page_has_one_row_for_each_variable_and_no_other() -> None:
    assert sorted(name for name, _ in ROWS) == sorted(VARIABLES)


def test_the_example_sets_each_variable_and_no_other() -> None:
    assert sorted(EXAMPLE) == sorted(VARIABLES)


@pytest.mark.parametrize(("name", "default"), ROWS)
def test_a_default_that_the_page_quotes_is_that_of_the_example(name: str, default: str) -> None:
    if quoted := re.fullmatch("`([^`]*)`", default):
        # One default is another variable's value.
        assert quoted[1] in (EXAMPLE[name], "SMTP_USERNAME")


def test_the_example_changes_no_default() -> None:
    secrets = {"SECRET_KEY": "x" * 32, "JWT_SECRET_KEY": "y" * 32}
    environment = {name: value or "" for name, value in EXAMPLE.items()} | secrets

    assert load_settings(environment) == load_settings(secrets)
    assert set(Settings.model_fields) == {name.lower() for name in EXAMPLE}


def test_the_page_of_production_names_each_override() -> None:
    page = (ROOT / "docs" / "production.md").read_text()
    rows = re.findall(r"^\| .* \| `([a-z_]+)` \|$", page, re.MULTILINE)

    assert sorted(rows) == sorted(OVERRIDES)
