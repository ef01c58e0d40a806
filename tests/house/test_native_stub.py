"""What Python is told of the native extension is what the extension has."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.house import tracked


@pytest.mark.skipif(find_spec("relay._native") is None, reason="not built: no compiler")
def test_the_stub_of_the_extension_says_what_it_has() -> None:
    compared = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "relay._native"],
        cwd=tracked.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert compared.returncode == 0, compared.stdout + compared.stderr
