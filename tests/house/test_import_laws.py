"""Import laws that are finer than whole packages; the laws between packages stand in pyproject.toml."""

from __future__ import annotations

import ast
import tomllib

import pytest

from tests.house import tracked

CLIENT_MAY_IMPORT = (
    "broker.client",
    "broker.core.frames",
    "broker.core.client_frames",
    "broker.core.frame_fields",
    "broker.core.frame_codec",
    "broker.core.errors",
)


def modules(prefix: str) -> list[str]:
    return [path for path in tracked.files() if path.startswith(prefix) and path.endswith(".py")]


def imported(path: str) -> set[str]:
    """Every module a file imports; `from a import b` counts as `a.b`, since b may be a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(tracked.text(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules("broker/client/"))
def test_the_client_imports_the_frames_their_codec_and_the_error_table_only(path: str) -> None:
    ours = {name for name in imported(path) if name.split(".")[0] in tracked.ROOMS}
    assert {
        name for name in ours if not f"{name}.".startswith(tuple(f"{ok}." for ok in CLIENT_MAY_IMPORT))
    } == set()


def test_nothing_of_the_product_imports_its_tests() -> None:
    for room in tracked.ROOMS:
        for path in modules(f"{room}/"):
            assert {name.split(".")[0] for name in imported(path)} & {"tests", "loadtests"} == set(), path


def test_every_core_package_is_under_the_sans_io_law() -> None:
    contracts = tomllib.loads(tracked.text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (law,) = (contract for contract in contracts if contract["id"] == "sans-io")
    assert {"broker.core", "broker.policy", "config", "relay.stun", "relay.turn"} <= set(
        law["source_modules"]
    )
    assert {"asyncio", "socket", "time", "random", "secrets"} <= set(law["forbidden_modules"])
