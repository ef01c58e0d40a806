"""No test is left out: every folder that has some is a suite of `make test`."""

from __future__ import annotations

import re
from pathlib import PurePath

from tests.house import tracked


def test_every_folder_with_tests_in_it_is_a_suite() -> None:
    (line,) = re.findall(r"^SUITES := (.*)$", tracked.text("Makefile"), re.MULTILINE)
    suites = {suite.partition(":")[0] for suite in line.split()}
    folders = {
        PurePath(path).parts[1] for path in tracked.files() if re.fullmatch(r"tests/.*/test_\w+\.py", path)
    }
    assert folders == suites
