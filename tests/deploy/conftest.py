"""One deployment for each module: two web processes and two workers."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from tests.support.deployment import Deployment
from tests.support.nginx import Nginx

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def deployment_variables() -> dict[str, Any]:
    """Variables of all processes; test modules override this."""
    return {}


@pytest.fixture(scope="module")
def deployment(
    mongo_server: str,
    database_client: MongoClient[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
    deployment_variables: dict[str, Any],
) -> Iterator[Deployment]:
    """Redis, two web processes and two workers, on a database of their own; all are ready."""
    base, _, options = mongo_server.partition("?")
    name = f"deployment_{os.getpid()}_{next(_numbers)}"
    deployment = Deployment(
        tmp_path_factory.mktemp("deployment"),
        f"{base.rstrip('/')}/{name}?{options}",
        **deployment_variables,
    )
    try:
        yield deployment.start()
    finally:
        deployment.stop()
        database_client.drop_database(name)


@pytest.fixture(scope="module")
def gateway(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx in front of the web processes; clients of the test process trust its certificate."""
    with pytest.MonkeyPatch.context() as environment:
        nginx = Nginx(tmp_path_factory.mktemp("nginx"), [web.port for web in deployment.webs])
        nginx.trust(environment)
        yield nginx.start()
        nginx.stop()
