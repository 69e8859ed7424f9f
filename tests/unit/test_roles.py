"""What web processes and workers share, and the port of each web process."""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from app.configuration.environment import ConfigurationError
from app.configuration.shared import require_shared, web_addresses
from config import Settings
from tests.support.server import ROOT

MakeSettings = Callable[..., Settings]


def test_web_processes_and_workers_need_a_shared_database_and_redis(
    make_settings: MakeSettings,
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        require_shared(make_settings())

    names = [offence.partition(":")[0] for offence in refusal.value.offences]
    assert names == ["MONGO_URI", "REDIS_URL"]
    require_shared(
        make_settings(MONGO_URI="mongodb://127.0.0.1/?replicaSet=a", REDIS_URL="redis://127.0.0.1")
    )


def test_each_web_process_has_a_port_of_its_own() -> None:
    given = {"HOST": "::1", "PORT": "5001", "WEB_CONCURRENCY": "3"}

    assert web_addresses(given) == ["[::1]:5001", "[::1]:5002", "[::1]:5003"]


def test_by_default_there_is_a_web_process_for_each_core() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()

    assert len(web_addresses({})) == cores
    assert web_addresses({"WEB_CONCURRENCY": "1"}) == ["127.0.0.1:5000"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"PORT": "0"}, "PORT"),
        ({"PORT": "http"}, "PORT"),
        ({"WEB_CONCURRENCY": "0"}, "WEB_CONCURRENCY"),
        ({"PORT": "65535", "WEB_CONCURRENCY": "2"}, "WEB_CONCURRENCY"),
    ],
)
def test_ports_that_cannot_be_used_are_refused(given: dict[str, str], name: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        web_addresses(given)
    assert refusal.value.offences[0].startswith(f"{name}: ")


def test_a_new_web_process_takes_the_port_of_the_one_it_replaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    configuration = runpy.run_path(str(ROOT / "deploy" / "gunicorn.conf.py"))
    arbiter = SimpleNamespace(WORKERS={})

    def start(pid: int) -> int:
        worker: Any = SimpleNamespace()
        configuration["pre_fork"](arbiter, worker)
        arbiter.WORKERS[pid] = worker
        return int(worker.slot)

    assert [start(pid) for pid in (1, 2, 3)] == [0, 1, 2]
    del arbiter.WORKERS[2]
    assert start(4) == 1
    # A reload starts new processes before it ends the old ones.
    assert sorted(start(pid) for pid in (5, 6, 7)) == [0, 1, 2]
