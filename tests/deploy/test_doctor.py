"""`flask doctor --production URL` against a deployment behind nginx, and a careless one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.production_checks import PRODUCTION_CHECKS
from tests.support.deployment import Deployment
from tests.support.nginx import Nginx
from tests.support.server import ROOT

pytestmark = [
    pytest.mark.needs("nginx"),
    pytest.mark.needs("openssl"),
    pytest.mark.needs("redis-server"),
]
# Sends requests to each process in turn, and passes on what clients say about themselves.
CARELESS = """
events {{}}
http {{
    access_log off;
    upstream web {{ server 127.0.0.1:{one}; server 127.0.0.1:{other}; }}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate tls/server.crt;
        ssl_certificate_key tls/server.key;
        ssl_protocols TLSv1.1 TLSv1.2;
        ssl_ciphers ALL:@SECLEVEL=0;
        location / {{
            proxy_pass http://web;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $http_x_forwarded_for;
        }}
    }}
}}
"""


@pytest.fixture(scope="module")
def deployment_variables() -> dict[str, Any]:
    return {"TRUSTED_PROXIES": 1, "RATELIMIT_ENABLED": "true", "METRICS_TOKEN": "for-prometheus"}


@pytest.fixture
def careless(deployment: Deployment, tmp_path: Path) -> Iterator[Nginx]:
    """nginx as a tutorial may configure it."""
    one, other = (web.port for web in deployment.webs)
    nginx = Nginx(tmp_path, [one, other])
    text = CARELESS.format(port=nginx.port, one=one, other=other)
    paths = re.findall(r"^\w+_temp_path .*;$", (tmp_path / "nginx.conf").read_text(), re.MULTILINE)
    (tmp_path / "nginx.conf").write_text(text.replace("http {", "http {\n" + "\n".join(paths), 1))
    nginx.http_port = nginx.port
    yield nginx.start()
    nginx.stop()


def examine(deployment: Deployment, nginx: Nginx) -> dict[str, list[str]]:
    """Run the doctor as the operator of the deployment; return the cells of each check's row."""
    flask = [sys.executable, "-m", "flask", "--app", str(ROOT / "run")]
    run = subprocess.run(
        [*flask, "doctor", "--production", nginx.url],
        env={**deployment.webs[0].environment, "REQUESTS_CA_BUNDLE": str(nginx.certificate)},
        cwd=deployment.webs[0].folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    rows = [re.split(r"\s{2,}", line) for line in run.stdout.splitlines()]
    found = {row[0]: row[1:] for row in rows if row[0] in PRODUCTION_CHECKS}
    assert list(found) == list(PRODUCTION_CHECKS), run.stdout + run.stderr
    assert run.returncode == int("FAULT" in run.stdout)
    return found


def faults(rows: dict[str, list[str]]) -> dict[str, str]:
    return {name: found for name, (state, found, *_) in rows.items() if state == "FAULT"}


def test_the_shipped_configuration_passes_but_for_what_a_test_cannot_have(
    deployment: Deployment, gateway: Nginx
) -> None:
    rows = examine(deployment, gateway)

    assert faults(rows) == {
        "certificate": "ends in 1 days",
        "database user": "the embedded database",
        "settings": "APP_ENV=testing",
    }
    assert rows["workers"][1] == "one runs at least"
    assert rows["polling"][1] == "sessions stay with one process"


def test_a_careless_proxy_is_found_out(deployment: Deployment, careless: Nginx) -> None:
    found = faults(examine(deployment, careless))

    assert found["TLS versions"] == "TLS 1.1 is accepted"
    assert found["client addresses"] == "clients choose their address"
    assert found["polling"].startswith("requests of a session get 400")
    assert found["WebSocket"]
    assert found["headers"] == "missing: Strict-Transport-Security"
