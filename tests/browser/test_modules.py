"""The client's modules that need no page, tested by node itself."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEST_SECONDS = 50


def test_the_modules_without_a_page_pass_their_own_tests() -> None:
    files = sorted(HERE.glob("*.test.js"))
    command = ["node", "--test", "--test-reporter=tap", *map(str, files)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=TEST_SECONDS, check=False)
    counts = {name: int(count) for name, count in re.findall(r"^# (\w+) (\d+)$", run.stdout, re.MULTILINE)}
    assert run.returncode == 0, run.stdout
    assert counts["pass"] == counts["tests"] > len(files), run.stdout
