"""Files stay small, rooms say what is in them, and no place is named after nothing."""

from __future__ import annotations

import ast
import re
from pathlib import PurePath

import pytest

from tests.house import tracked

MAX_LINES = 400
SOURCES = (".py", ".pyi", ".rs", ".js", ".css", ".html", ".md", ".sh")

# Files over the ceiling. The list may only shrink: a file that no longer needs its exemption fails the test.
EXEMPT: frozenset[str] = frozenset()

NAMELESS = re.compile(r"(utils?|helpers?|common|misc)", re.IGNORECASE)
PACKAGES = [
    path for path in tracked.files() if path.endswith("/__init__.py") and path.split("/")[0] in tracked.ROOMS
]


def test_no_file_is_over_400_lines_and_no_exemption_is_stale() -> None:
    sources = [path for path in tracked.files() if path.endswith(SOURCES)]
    long = {path for path in sources if len(tracked.text(path).splitlines()) > MAX_LINES}
    assert long == EXEMPT


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    parts = {part.split(".")[0] for path in tracked.files() for part in PurePath(path).parts}
    assert [part for part in sorted(parts) if NAMELESS.fullmatch(part)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_is_in_it_and_exports_nothing(package: str) -> None:
    module = ast.parse(tracked.text(package))
    assert ast.get_docstring(module)
    assert [node for node in module.body[1:] if isinstance(node, ast.Import | ast.ImportFrom)] == []


@pytest.mark.parametrize("room", tracked.ROOMS)
def test_every_folder_of_a_room_with_python_in_it_is_a_package_and_every_room_is_typed(room: str) -> None:
    folders = {
        str(PurePath(path).parent)
        for path in tracked.files()
        if path.startswith(f"{room}/") and path.endswith(".py")
    }
    assert {folder for folder in folders if f"{folder}/__init__.py" not in tracked.files()} == set()
    assert f"{room}/py.typed" in tracked.files()
