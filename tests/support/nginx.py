"""nginx with the configuration of deploy/, on free ports of loopback."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.fakes.smtp import make_certificate
from tests.support.live import eventually
from tests.support.server import ROOT, free_port

DEPLOY = ROOT / "deploy"
# Folders that a package of nginx makes, and only root may write to.
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Nginx:
    """nginx in front of the web processes on `ports`; to clients it is a server like any other.

    127.0.0.1 has no limits, other addresses of loopback have those of deploy/nginx.conf.
    """

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self.folder = folder
        self.port, self.http_port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.certificate, self._key = make_certificate(folder)
        self.process: subprocess.Popen[bytes] | None = None
        self._write(ports)

    def _write(self, ports: Sequence[int]) -> None:
        (self.folder / "tls").mkdir()
        shutil.copy(self.certificate, self.folder / "tls" / "server.crt")
        shutil.copy(self._key, self.folder / "tls" / "server.key")
        paths = "".join(f"{name}_temp_path {self.folder}/{name};\n" for name in TEMPORARY)
        replaced = {
            "listen 80 default_server;": f"listen 127.0.0.1:{self.http_port} default_server;",
            "listen 443 ssl http2": f"listen 127.0.0.1:{self.port} ssl http2",
            "listen [::]:80 default_server;": "",
            "listen [::]:443 ssl http2 default_server;": "",
            "include processes.conf;": f"include processes.conf;\n{paths}",
        }
        text = (DEPLOY / "nginx.conf").read_text()
        for old, new in replaced.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (self.folder / "nginx.conf").write_text(text)
        (self.folder / "exempt.conf").write_text("127.0.0.1/32 0;\n")
        processes = (DEPLOY / "processes.conf").read_text()
        for shipped, port in zip(("5001", "5002"), ports, strict=True):
            processes = processes.replace(shipped, str(port))
        (self.folder / "processes.conf").write_text(processes)

    def start(self) -> Nginx:
        """Start nginx, and wait until it accepts connections."""
        self.process = subprocess.Popen(self._command("daemon off;"))
        eventually(self._accepts)
        return self

    def check(self) -> str:
        """Return what `nginx -t` says of the configuration."""
        checked = subprocess.run(
            [*self._command(), "-t"], capture_output=True, text=True, check=False
        )
        return checked.stderr

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(15)

    def output(self) -> str:
        return (self.folder / "error.log").read_text()

    def trust(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make clients of this process, and of its children, trust the certificate."""
        for name in ("REQUESTS_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
            monkeypatch.setenv(name, str(self.certificate))

    def request(
        self, method: str, path: str, token: str | None = None, **kwargs: Any
    ) -> requests.Response:
        headers = kwargs.pop("headers", {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        kwargs.setdefault("timeout", 30)
        kwargs.setdefault("verify", str(self.certificate))
        return requests.request(method, f"{self.url}{path}", headers=headers, **kwargs)

    def _command(self, *directives: str) -> list[str]:
        # As root nginx would run its workers as a user who may not read the folder.
        user = ["user root;"] if os.geteuid() == 0 else []
        main = " ".join([f"pid {self.folder}/nginx.pid;", *user, *directives])
        files = ["-c", f"{self.folder}/nginx.conf", "-e", f"{self.folder}/error.log"]
        return ["nginx", "-p", str(self.folder), *files, "-g", main]

    def _accepts(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output()
        try:
            requests.get(f"http://127.0.0.1:{self.http_port}", timeout=5, allow_redirects=False)
        except requests.ConnectionError:
            return False
        return True


def shipped_ports() -> list[int]:
    """Return the ports of the web processes in deploy/processes.conf."""
    text = (DEPLOY / "processes.conf").read_text()
    return sorted({int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)})
