"""The page of the trading desk and its files."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.desk import files
from tests.support.server import ROOT

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
STATIC = ROOT / "app" / "desk" / "static"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of npm, with a file for each library that is served."""
    for name in files.LIBRARY_FILES:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"// {name}")
    (tmp_path / "lit-html" / "package.json").write_text("{}")
    monkeypatch.setattr(files, "LIBRARIES", tmp_path)
    return tmp_path


def test_a_browser_gets_the_desk(client: FlaskClient, installed: Path) -> None:
    page = client.get("/", headers={"Accept": HTML})

    assert page.status_code == 200
    assert page.mimetype == "text/html"
    assert "<desk-app>" in page.text
    assert 'data-demo="yes"' in page.text


@pytest.mark.parametrize("accept", ["application/json", "*/*", None])
def test_a_program_gets_the_404_of_an_unknown_address(
    client: FlaskClient, accept: str | None
) -> None:
    response = client.get("/", headers={"Accept": accept} if accept else {})

    assert response.status_code == 404
    assert response.get_json()["code"] == "not_found"


def test_the_page_runs_no_inline_script_and_loads_nothing_from_elsewhere(
    client: FlaskClient, installed: Path
) -> None:
    page = client.get("/", headers={"Accept": HTML})
    policy = page.headers["Content-Security-Policy"]
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page.text)

    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "<style" not in page.text
    assert "style=" not in page.text
    assert re.findall(r"<script(?![^>]*src=)", page.text) == []
    assert [address for address in addresses if not address.startswith("/")] == []


def test_every_address_of_the_page_and_of_its_modules_is_served(
    client: FlaskClient, installed: Path
) -> None:
    page = client.get("/", headers={"Accept": HTML}).text
    asked = set(re.findall(r'(?:src|href)="(/desk/[^"]*)"', page))
    for module in STATIC.glob("*.js"):
        text = module.read_text()
        asked |= {f"/desk/{name}" for name in re.findall(r'from "\./([^"]+)"', text)}
        asked |= {f"/desk/{name}" for name in re.findall(r'^import "\./([^"]+)"', text, re.M)}
        asked |= set(re.findall(r'(?:from|src=|import\() ?"(/desk/[^"]+)"', text))
    asked |= set(re.findall(r'url\("([^"]+)"\)', (STATIC / "theme.css").read_text()))

    assert {address: client.get(address).status_code for address in sorted(asked)} == dict.fromkeys(
        asked, 200
    )


def test_our_modules_are_kept_by_the_browser_until_one_changes(
    client: FlaskClient, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = tmp_path / "ours"
    shutil.copytree(STATIC, ours)
    monkeypatch.setattr(files, "STATIC", ours)
    before = re.findall(r'src="([^"]*main.js)"', client.get("/", headers={"Accept": HTML}).text)
    (ours / "store.js").write_text("// changed")
    after = re.findall(r'src="([^"]*main.js)"', client.get("/", headers={"Accept": HTML}).text)

    assert before != after
    assert "immutable" in client.get(after[0]).headers["Cache-Control"]
    assert client.get(before[0]).headers["Cache-Control"] == "no-cache"
    assert client.get("/desk/v/any/no-such.js").status_code == 404


def test_the_page_names_the_modules_that_it_needs_at_once(
    client: FlaskClient, installed: Path
) -> None:
    page = client.get("/", headers={"Accept": HTML}).text
    preloaded = re.findall(r'rel="modulepreload" href="(?:/desk/v/[^/]+|/desk)/([^"]+)"', page)

    assert {"main.js", "desk-app.js", "store.js", "vendor/lit-html/lit-html.js"} <= set(preloaded)
    assert not {"account-view.js", "price-chart.js", "service-worker.js"} & set(preloaded)


def test_a_file_that_did_not_change_is_not_sent_again(client: FlaskClient) -> None:
    first = client.get("/desk/main.js", headers={"Accept-Encoding": "gzip"})
    again = client.get("/desk/main.js", headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Content-Encoding"] == "gzip"
    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "../routes.py",
        "..%2froutes.py",
        "vendor/../../../run.py",
        "vendor/lit-html/package.json",
        "vendor/lit-html/../lit-html/lit-html.js",
        "main.js%00",
        "no-such.js",
    ],
)
def test_nothing_but_the_files_of_the_desk_is_served(
    client: FlaskClient, installed: Path, path: str
) -> None:
    response = client.get(f"/desk/{path}")

    assert response.status_code == 404
    assert response.get_json()["code"] == "not_found"


def test_without_the_libraries_the_page_says_what_to_install(
    client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LIBRARIES", tmp_path / "none")

    page = client.get("/", headers={"Accept": HTML})

    assert page.status_code == 503
    assert "Node 20" in page.text
    assert "npm ci --omit=dev" in page.text
    assert "lit-html.js" in page.text


class TestLimits:
    @pytest.fixture
    def variables(self) -> dict[str, str]:
        return {"RATELIMIT_ENABLED": "true", "RATELIMIT_DEFAULT": "3 per hour"}

    def test_files_count_for_no_limit_and_unknown_ones_do(self, client: FlaskClient) -> None:
        loaded = {client.get("/desk/main.js").status_code for _ in range(5)}
        unknown = [client.get(f"/desk/no-{number}.js").status_code for number in range(4)]

        assert loaded == {200}
        assert unknown == [404, 404, 404, 429]


def test_it_can_be_installed_on_a_phone(client: FlaskClient) -> None:
    manifest = json.loads(client.get("/desk/desk.webmanifest").data)
    icons = {client.get(icon["src"]).status_code for icon in manifest["icons"]}
    worker = client.get("/desk/service-worker.js")

    assert icons == {200}
    assert worker.headers["Service-Worker-Allowed"] == "/"
    assert client.get("/desk/offline.html").status_code == 200


def test_no_module_of_the_desk_is_long() -> None:
    lengths = {module.name: len(module.read_text().splitlines()) for module in STATIC.glob("*.js")}

    assert {name: length for name, length in lengths.items() if length >= 300} == {}
    assert len(lengths) > 10
