"""The locked requirements install on every supported system, also after newer releases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    *("requirements.txt", "requirements-embedded.txt"),
    *("requirements-tracing.txt", "requirements-dev.txt", "requirements-load.txt"),
)
INSTALLED_ON = {"sys_platform": "linux", "platform_machine": "x86_64"}
INTEL_MAC = {"sys_platform": "darwin", "platform_machine": "x86_64"}
APPLE_SILICON = {"sys_platform": "darwin", "platform_machine": "arm64"}


def entries(file: str) -> Iterator[str]:
    """Yield each locked package with its options, on one line."""
    text = (ROOT / file).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line


def locked(file: str) -> dict[str, Requirement]:
    requirements = (Requirement(entry.partition(" --hash")[0]) for entry in entries(file))
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def wanted_by(requirement: Requirement) -> Iterator[Requirement]:
    """Yield the requirements of an installed package with the extras of the lock."""
    try:
        declared = requires(requirement.name) or []
    except PackageNotFoundError:
        return
    for each in map(Requirement, declared):
        choices = [{**INSTALLED_ON, "extra": extra} for extra in ("", *requirement.extras)]
        if each.marker is None or any(map(each.marker.evaluate, choices)):
            yield each


def test_every_extra_that_a_locked_package_requires_is_in_the_lock() -> None:
    server, embedded, tracing, dev, load = map(locked, FILES)
    missing = [
        f"{package.name} wants {want}"
        for packages in (
            server,
            {**server, **embedded},
            {**server, **tracing},
            {**server, **embedded, **dev},
            {**server, **embedded, **dev, **load},
        )
        for package in packages.values()
        for want in wanted_by(package)
        if want.extras - packages[canonicalize_name(want.name)].extras
    ]

    assert not missing
    # At least one extra is required, or this test could not fail.
    assert {"toml"} <= dev["coverage"].extras


@pytest.mark.parametrize("file", FILES)
def test_every_package_is_pinned_to_one_version_with_hashes(file: str) -> None:
    for entry in entries(file):
        assert re.match(r"[\w.-]+(\[[\w, -]+\])?==[^\s*]+ ", entry), entry
        assert "--hash=sha256:" in entry
        assert not entry.startswith(("-i", "--index-url", "--extra-index-url", "--find-links"))


@pytest.mark.parametrize("file", FILES)
def test_every_requirement_of_a_locked_package_is_locked(file: str) -> None:
    packages = locked(file) | locked("requirements.txt")

    for package in packages.values():
        for want in wanted_by(package):
            assert canonicalize_name(want.name) in packages, f"{package.name} wants {want.name}"


def test_the_embedded_database_is_omitted_where_it_has_no_wheel() -> None:
    marker = locked("requirements-embedded.txt")["secantusdb"].marker

    assert marker is not None
    assert not marker.evaluate(INTEL_MAC)
    for system in (APPLE_SILICON, INSTALLED_ON):
        assert marker.evaluate(system)


def test_the_server_is_installed_without_the_embedded_database_and_what_only_that_needs() -> None:
    assert not {"secantusdb", "shapely", "s2sphere", "future"} & set(locked("requirements.txt"))


def test_files_that_are_installed_together_lock_the_same_versions() -> None:
    versions: dict[str, set[str]] = {}
    for file in FILES:
        for entry in entries(file):
            package = Requirement(entry.partition(" --hash")[0])
            if package.marker is None or package.marker.evaluate(INSTALLED_ON):
                found = versions.setdefault(canonicalize_name(package.name), set())
                found.add(str(package.specifier))

    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
