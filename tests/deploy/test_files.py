"""The files of deploy/ agree with the code, with each other, and with what production demands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from config import VARIABLES, load_settings
from tests.support.nginx import DEPLOY, shipped_ports
from tests.support.server import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MAX_EXPOSURE = 2.0
HOST = "trading.example.com"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return document


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """A copy of deploy/, made ready by setup.sh."""
    folder = tmp_path / "deploy"
    ignored = shutil.ignore_patterns("secrets", ".env")
    shutil.copytree(DEPLOY, folder, ignore=ignored)
    set_up(folder)
    return folder


def set_up(folder: Path, host: str = HOST) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", folder / "setup.sh", host], capture_output=True, text=True, check=False
    )


def instructions(name: str) -> list[str]:
    return [line.removeprefix(f"{name} ") for line in DOCKERFILE if line.startswith(f"{name} ")]


def copied() -> Iterator[tuple[list[str], str]]:
    """Yield the sources and the target of each COPY from the project."""
    for line in instructions("COPY"):
        if not line.startswith("--from"):
            *sources, target = line.split()
            yield sources, target


def image_environment() -> dict[str, str]:
    pairs = " ".join(instructions("ENV")).split()
    return dict(pair.split("=", 1) for pair in pairs)


def unit_environment(unit: Path) -> dict[str, str]:
    lines = re.findall(r"^Environment=(.*)$", unit.read_text(), re.MULTILINE)
    return dict(pair.split("=", 1) for line in lines for pair in line.replace("%i", "5001").split())


def test_the_image_is_pinned_checked_and_not_run_by_root() -> None:
    images = [line.split()[0] for line in instructions("FROM")]
    assert len(images) == 3
    assert all(re.fullmatch(r"(python:3\.\d+-slim|node:\d+)-\w+(-slim)?", i) for i in images)
    installs = [line for line in instructions("RUN") if "pip install" in line]
    assert installs
    assert all("--require-hashes" in line for line in installs)
    (npm,) = [line for line in instructions("RUN") if "npm" in line]
    # Hashes are those of package-lock.json; no script of a package runs.
    assert npm.startswith("npm ci --omit=dev --ignore-scripts")
    assert "embedded.txt" not in "\n".join(DOCKERFILE)
    (user,) = instructions("USER")
    assert int(user.partition(":")[0]) > 0
    assert len(instructions("HEALTHCHECK")) == 1


def test_the_image_has_what_it_copies_and_nothing_else_is_sent_to_build_it() -> None:
    sources = [source for sources, _ in copied() for source in sources]
    missing = [source for source in sources if not (ROOT / source).exists()]
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)

    assert missing == []
    assert sorted(allowed) == sorted(sources)


def test_what_the_image_has_is_enough_to_make_the_application(tmp_path: Path) -> None:
    for sources, target in copied():
        for source in sources:
            to = tmp_path / target.strip("./") / Path(source).name
            if target.strip("./") == source:
                to = tmp_path / source
            to.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, to)

    made = subprocess.run(
        [sys.executable, "-c", "import run, app.server, app.cli; print(run.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.strip() == str(tmp_path / "run.py")


def test_every_container_is_hardened(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        # That of the server is set by its image.
        assert service.get("user", "root" if "build" not in service else "10001") != "root", name
        image = service["image"]
        assert re.search(r":\d+\.\d+", image) or image == "paper-trading", image
        if name != "nginx":
            assert "ports" not in service, name
    assert compose["networks"]["data"]["internal"] is True
    for name in ("mongo", "redis"):
        assert compose["services"][name]["networks"] == ["data"], name


def test_every_file_and_service_that_compose_names_exists(
    compose: dict[str, Any], deploy: Path
) -> None:
    services = compose["services"]
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            exists = (
                (deploy / source).exists()
                if source.startswith(".")
                else source in compose["volumes"]
            )
            assert exists, (name, source)
        for file in service.get("env_file", []):
            assert (deploy / file).exists(), (name, file)
        assert services.keys() >= service.get("depends_on", {}).keys()
    names = set(re.findall(r"server (\w+):500\d", (DEPLOY / "processes.compose.conf").read_text()))
    assert names == {name for name in services if name.startswith("web")}


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("service", ["web1", "web2", "worker"])
def test_production_accepts_what_setup_and_compose_give_a_container(
    compose: dict[str, Any], deploy: Path, service: str
) -> None:
    container = compose["services"][service]
    given = {
        **image_environment(),
        **dotenv_values(deploy / "secrets" / "server.env"),
        **container["environment"],
    }
    unknown = given.keys() - VARIABLES - {"PATH"}
    assert {name for name in unknown if not name.startswith(("PYTHON", "PIP_"))} == set()

    settings = load_settings({name: value for name, value in given.items() if value})

    assert settings.app_env == "production"
    assert settings.strict_accounts
    assert settings.allowed_hosts == (HOST,)
    if service != "worker":
        processes = (DEPLOY / "processes.compose.conf").read_text()
        assert f"server {service}:{settings.port} resolve max_fails=0;" in processes


@pytest.mark.needs("openssl")
def test_setup_makes_private_files_once(deploy: Path) -> None:
    files = [path for path in (deploy / "secrets").rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}

    again = set_up(deploy)

    assert again.returncode == 0
    assert "wrote" not in again.stdout
    assert {path: path.read_bytes() for path in files} == before
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert not (dotenv_values(deploy / ".env")["NGINX_USER"] or "").startswith("0:")
    ignored = subprocess.run(
        ["git", "check-ignore", "deploy/secrets/server.env", "deploy/.env"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(ignored.stdout.split()) == 2


def test_setup_refuses_what_is_no_host(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "setup.sh", tmp_path)

    for host in ("", "https://trading.example.com", "a b", "-x"):
        refused = set_up(tmp_path, host)
        assert refused.returncode != 0
        assert refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["setup.sh"]


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_production_accepts_what_a_unit_sets(unit: Path, deploy: Path) -> None:
    environment = unit_environment(unit)
    assert environment.keys() <= VARIABLES
    secrets = dotenv_values(deploy / "secrets" / "server.env")
    local = {
        name: (value or "").replace("@mongo:", "@127.0.0.1:").replace("@redis:", "@127.0.0.1:")
        for name, value in secrets.items()
    }

    assert load_settings({**environment, **local}).app_env == "production"


def test_each_shipped_process_has_its_own_route() -> None:
    text = (DEPLOY / "processes.conf").read_text()

    assert shipped_ports() == [5001, 5002]
    for port in shipped_ports():
        upstream = re.search(rf"upstream web_{port} {{(.*?)}}", text, re.DOTALL)
        assert upstream
        assert re.search(rf"server 127\.0\.0\.1:{port} max_fails=0;", upstream[1])
        assert re.search(rf'"~\^{port}\\\."\s+web_{port};', text)
    (unit,) = (unit for unit in UNITS if unit.stem.endswith("@"))
    assert "PORT=%i WEB_CONCURRENCY=1" in unit.read_text()


@pytest.mark.needs("systemd-analyze", package="systemd")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_accepts_each_unit_and_finds_it_hardened(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text()
    program = re.search(r"^ExecStart=(\S+)", text, re.MULTILINE)
    assert program
    local = tmp_path / unit.name
    local.write_text(text.replace(program[1], sys.executable))

    verified = subprocess.run(
        ["systemd-analyze", "verify", local], capture_output=True, text=True, check=False
    )
    assessed = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", local],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (verified.returncode, verified.stderr) == (0, "")
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", assessed.stdout)
    assert exposure, assessed.stdout + assessed.stderr
    assert float(exposure[1]) <= MAX_EXPOSURE
