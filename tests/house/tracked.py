"""The files of the product: what git tracks or would track, read once."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("config", "auth", "relay", "broker")


@cache
def files() -> tuple[str, ...]:
    """Paths from the root, of files that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    return tuple(sorted(path for path in set(listed) if path and (ROOT / path).is_file()))


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")
