"""What is installed is pinned and hashed, and no file says where to fetch it from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib

import pytest

from tests.house import tracked

PINNED = tuple(f"requirements/{use}.txt" for use in ("build", "runtime", "test", "fuzz", "load"))

# Well-known hosts are spelled in two halves, so that this file does not name them itself.
HOSTS = tuple(
    first + second
    for first, second in (
        ("pypi", ".org"), ("pythonhosted", ".org"), ("registry.npm", "js.org"), ("index.crates", ".io"),
        ("static.crates", ".io"), ("proxy.golang", ".org"), ("deb.debian", ".org"),
    )
)  # fmt: skip
OPTIONS = re.compile(r"^\s*(--(extra-)?index-url|--find-links|--trusted-host|-i|-f)[ =]", re.MULTILINE)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: str) -> dict[str, str]:
    return {
        normal(name): version
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", tracked.text(path), re.MULTILINE)
    }


def required(lines: list[str]) -> set[str]:
    return {normal(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in lines}


def test_every_dependency_of_the_package_is_pinned() -> None:
    project = tomllib.loads(tracked.text("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    assert required(project["dependencies"]) <= pins("requirements/runtime.txt").keys()
    assert required([*extras["test"], *extras["dev"]]) <= pins("requirements/test.txt").keys()
    assert required(extras["fuzz"]) <= pins("requirements/fuzz.txt").keys()
    assert required(extras["load"]) <= pins("requirements/load.txt").keys()


def test_what_builds_the_package_is_pinned() -> None:
    assert required(tomllib.loads(tracked.text("pyproject.toml"))["build-system"]["requires"]) <= (
        pins("requirements/build.txt").keys()
    )


def test_the_tests_run_with_the_versions_that_are_shipped() -> None:
    test, runtime = pins("requirements/test.txt"), pins("requirements/runtime.txt")
    assert {name: test[name] for name in runtime} == runtime


@pytest.mark.parametrize("path", PINNED)
def test_every_pin_has_a_hash(path: str) -> None:
    for entry in re.split(
        r"\n(?=[a-z])", re.sub(r"^#.*\n", "", tracked.text(path), flags=re.MULTILINE).strip()
    ):
        assert "--hash=sha256:" in entry, entry


def configured_addresses() -> set[str]:
    """Hosts that this machine's own pip and npm are set up to fetch from."""
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    )
    written = pip.stdout + "\n".join(
        value for name, value in os.environ.items() if name.startswith(("PIP_", "npm_config_"))
    )
    return set(re.findall(r"https?://([\w.-]+)", written))


def test_no_file_names_a_package_registry_or_a_mirror() -> None:
    named = (*HOSTS, *configured_addresses())
    found = [(path, host) for path in tracked.files() for host in named if host in tracked.text(path)]
    assert found == []


@pytest.mark.parametrize("path", PINNED)
def test_no_requirements_file_says_where_to_look(path: str) -> None:
    assert OPTIONS.search(tracked.text(path)) is None
    assert "://" not in tracked.text(path)


def test_nothing_is_fetched_from_an_address_in_a_lock_file() -> None:
    for path in tracked.files():
        if path.endswith("package-lock.json"):
            assert '"resolved": "http' not in tracked.text(path), path
        if path.endswith("Cargo.lock"):
            # What Cargo writes for every package taken by name; a git source would be an address.
            sources = set(re.findall(r'^source = "([^"+]+)\+', tracked.text(path), re.MULTILINE))
            assert sources <= {"registry"}, path
